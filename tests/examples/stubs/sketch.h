// What the Arduino sketch needs of its libraries, so that it compiles and runs here: publishes are printed, not sent.
#pragma once
#include <cstdio>
#include <ctime>
#include <string>

struct String : std::string {
  using std::string::string;
  String(const std::string &text) : std::string(text) {}
};

inline unsigned long clock_ms = 0;
inline unsigned long millis() { return clock_ms; }
inline void delay(unsigned long ms) { clock_ms += ms; }
inline int analogRead(int) { return 2048; }
inline void configTime(long, int, const char *) {}

struct {
  unsigned getFreeHeap() { return 200 * 1024; }
  unsigned getMinFreeHeap() { return 150 * 1024; }
} inline ESP;

enum { WL_CONNECTED = 3 };
struct Address {
  String toString() { return "192.168.1.23"; }
};
struct {
  void begin(const char *, const char *) {}
  int status() { return WL_CONNECTED; }
  int RSSI() { return -61; }
  Address localIP() { return {}; }
  String macAddress() { return "24:6F:28:AA:BB:CC"; }
} inline WiFi;
struct WiFiClient {};

struct MQTTClient {
  explicit MQTTClient(int size) : size(size) {}
  void begin(const char *, int, WiFiClient &) {}
  void setKeepAlive(int) {}
  void setWill(const char *topic, const char *payload, bool retained, int qos) {
    tell("will", topic, payload, retained, qos);
  }
  bool connect(const char *, const char *, const char *) { return open = true; }
  bool connected() { return open; }
  bool loop() { return open; }
  bool publish(const char *topic, const char *payload, bool retained, int qos) {
    tell("publish", topic, payload, retained, qos);
    return true;
  }

 private:
  void tell(const char *what, const char *topic, const char *payload, bool retained, int qos) {
    std::printf("%s\t%s\t%s\t%d\t%d\n", what, topic, payload, retained, qos);
  }
  int size;
  bool open = false;
};
