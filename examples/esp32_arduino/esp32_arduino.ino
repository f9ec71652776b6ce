// One sample per minute to Sève, at QoS 1, with birth and last will. Board: ESP32. Library: "MQTT" by Joel Gaehwiler.
//
// Samples wait in memory until the broker acknowledges them, so that a lost connection loses none of the last four hours.
// They carry the time at which they were taken: a repeated sample is stored once.
#include <MQTT.h>
#include <WiFi.h>
#include <time.h>

const char *WIFI_NAME = "wifi";
const char *WIFI_PASSWORD = "password";
const char *MQTT_HOST = "192.168.1.10";  // where Sève runs, with MQTT_LISTEN=0.0.0.0:1883 and MQTT_DEVICES=own
const int MQTT_PORT = 1883;
const char *MODULE = "croissance";  // this device: unique, without spaces, also its user and client id
const char *MQTT_PASSWORD = "something-long";  // ./seve device add croissance

const unsigned long INTERVAL_MS = 60000;
const unsigned long RETRY_MS = 5000;
const int WAITING_MAX = 240;  // then the oldest is dropped

struct Sample {
  time_t time;  // 0 while the clock is not set
  float value;
};

WiFiClient network;
MQTTClient mqtt(512);
Sample waiting[WAITING_MAX];
int first = 0, count = 0;
unsigned long sampled = 0, tried = 0;

// Replace this by your sensor.
float readSensor() { return analogRead(34) * 3.3 / 4095; }

String topic(const char *rest) { return String(MODULE) + "/" + rest; }

time_t now() {
  time_t seconds = time(nullptr);
  return seconds > 1700000000 ? seconds : 0;
}

void keep(float value) {
  if (count == WAITING_MAX) {
    first = (first + 1) % WAITING_MAX;
    count--;
  }
  waiting[(first + count++) % WAITING_MAX] = {now(), value};
}

bool connectMqtt() {
  mqtt.setWill(topic("status").c_str(), "offline", true, 1);
  mqtt.setKeepAlive(30);
  if (!mqtt.connect(MODULE, MODULE, MQTT_PASSWORD)) return false;
  char config[96];
  snprintf(config, sizeof config, "{\"ip\":\"%s\",\"mac\":\"%s\"}", WiFi.localIP().toString().c_str(),
           WiFi.macAddress().c_str());
  return mqtt.publish(topic("status").c_str(), "online", true, 1) &&
         mqtt.publish(topic("system/config").c_str(), config, true, 1);
}

// Publishes the oldest sample; it leaves memory when the broker has acknowledged it.
bool publishOldest() {
  char payload[64];
  const Sample &sample = waiting[first];
  if (sample.time)
    snprintf(payload, sizeof payload, "{\"value\":%.2f,\"time\":%lld}", sample.value, (long long)sample.time);
  else
    snprintf(payload, sizeof payload, "{\"value\":%.2f}", sample.value);
  if (!mqtt.publish(topic("voltage").c_str(), payload, false, 1)) return false;
  first = (first + 1) % WAITING_MAX;
  count--;
  return true;
}

void publishStatus() {
  char payload[96];
  snprintf(payload, sizeof payload, "{\"rssi\":%d,\"memory\":{\"heapFreeKb\":%u,\"heapMinFreeKb\":%u}}", WiFi.RSSI(),
           (unsigned)(ESP.getFreeHeap() / 1024), (unsigned)(ESP.getMinFreeHeap() / 1024));
  mqtt.publish(topic("system").c_str(), payload, false, 1);
}

void setup() {
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  configTime(0, 0, "pool.ntp.org");
  mqtt.begin(MQTT_HOST, MQTT_PORT, network);
}

void loop() {
  mqtt.loop();
  if (sampled == 0 || millis() - sampled >= INTERVAL_MS) {
    sampled = millis() | 1;
    keep(readSensor());
    if (mqtt.connected()) publishStatus();
  }
  if (!mqtt.connected() && WiFi.status() == WL_CONNECTED && (tried == 0 || millis() - tried >= RETRY_MS)) {
    tried = millis() | 1;
    connectMqtt();
  }
  if (mqtt.connected() && count > 0) publishOldest();
  delay(10);
}
