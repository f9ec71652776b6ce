"""The history service's metrics, declared here and changed where the events happen."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("seve_history_requests_total", "Queries answered, by kind and HTTP status", ["of", "status"])
ANSWER_SECONDS = Histogram(
    "seve_history_answer_seconds",
    "From the arrival of a query to its answer",
    ["of"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
POINTS = Counter("seve_history_points_total", "Points in answers, by form: raw or buckets", ["form"])
WAITING = Gauge("seve_history_waiting_requests", "Queries that wait for a database connection")
