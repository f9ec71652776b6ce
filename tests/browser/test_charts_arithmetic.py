"""What the charts are drawn from, in the browser that runs it: times, buckets, runs, and the file that is saved."""

import pytest

HOUR = 3_600_000
DAY = 24 * HOUR
MONDAY = 978_307_200_000

RECORDED = """async ({ series, added, from, to, read }) => {
  const { Recorded } = await import("./recorded.js");
  const one = new Recorded({ sensor: "co2", hardware: null, ...series });
  for (const [time, value] of added ?? []) one.add(time, value);
  const plain = ({ time, low, high, mean, count }) => (count ? [time, low, high, mean, count] : [time, null]);
  return {
    points: one.points.map(plain),
    runs: one.runs(from ?? 0, to ?? 1e15).map((run) => run.map(({ time }) => time)),
    nearest: read === undefined ? null : (one.nearest(read)?.time ?? null),
    next: read === undefined ? null : [one.next(read, -1), one.next(read, 1)],
  };
}"""


@pytest.fixture(scope="module")
def bare(chromium, bare_url):
    page = chromium.new_page(locale="en-GB", timezone_id="Europe/Paris")
    page.goto(f"{bare_url}theme.js")
    yield page
    page.close()


def recorded(bare, width, points, **more):
    return bare.evaluate(RECORDED, {"series": {"width": width, "points": points}, **more})


def test_what_comes_goes_on_behind_what_was_recorded(bare):
    """Samples stay samples, in the order of their times, and one that is corrected has one place."""
    done = recorded(bare, 0, [[1000, 1], [2000, 2]], added=[[4000, 4], [3000, 3], [3000, 5]])
    assert [(point[0], point[3]) for point in done["points"]] == [(1000, 1), (2000, 2), (3000, 5), (4000, 4)]


def test_a_bucket_takes_what_falls_into_it(bare):
    """Its extremes, mean and count are those of all its samples."""
    done = recorded(bare, 60, [[0, 1, 3, 2, 4]], added=[[59_999, 7], [60_000, 5], [1, None]])
    assert done["points"] == [[0, 1, 7, 3, 5], [60_000, 5, 5, 5, 1]]


@pytest.mark.parametrize("days", [2, 7, 14, 28])
def test_buckets_of_days_begin_where_the_servers_do(bare, days):
    """Counted from a Monday of 2001."""
    begin = MONDAY + 336 * DAY
    done = recorded(bare, days * 86_400, [], added=[[begin - 1, 1], [begin, 2]])
    assert [point[0] for point in done["points"]] == [begin - days * DAY, begin]


@pytest.mark.parametrize(
    ("width", "points", "runs"),
    [
        (0, [[0, 1], [1000, 1], [2000, 1], [9000, 1], [10_000, 1]], [[0, 1000, 2000], [9000, 10_000]]),
        (0, [[0, 1], [1000, None], [2000, 1]], [[0], [2000]]),
        (60, [[0, 1, 1, 1, 1], [60_000, 1, 1, 1, 1], [240_000, 1, 1, 1, 1]], [[0, 60_000], [240_000]]),
        (0, [], []),
        (0, [[5, 1]], [[5]]),
    ],
)
def test_no_line_bridges_what_is_missing(bare, width, points, runs):
    """Neither a silence of several usual distances nor a sample without a number."""
    assert recorded(bare, width, points)["runs"] == runs


def test_a_stretch_has_the_points_around_it(bare):
    """So that a line runs to the edge, and beyond it nothing is drawn."""
    points = [[second * 1000, 1] for second in range(10)]
    assert recorded(bare, 0, points, **{"from": 3500, "to": 5500})["runs"] == [[3000, 4000, 5000, 6000]]


def test_the_cursor_reads_the_nearest_point(bare):
    """Of a bucket its middle counts; over a gap there is nothing to read."""
    points = [[0, 1, 1, 1, 1], [60_000, 1, 1, 1, 1], [600_000, 1, 1, 1, 1]]
    assert recorded(bare, 60, points, read=50_000)["nearest"] == 0
    assert recorded(bare, 60, points, read=70_000)["nearest"] == 60_000
    assert recorded(bare, 60, points, read=300_000)["nearest"] is None


def test_arrows_walk_from_point_to_point(bare):
    """To the middle of each bucket, over gaps too, and no further than the ends."""
    points = [[0, 1, 1, 1, 1], [60_000, 1, 1, 1, 1]]
    assert recorded(bare, 60, points, read=30_000)["next"] == [None, 90_000]
    assert recorded(bare, 60, points, read=90_000)["next"] == [30_000, None]
    assert recorded(bare, 60, points, read=1e9)["next"] == [90_000, None]


def test_memory_is_bounded(bare):
    """The oldest go."""
    many = [[second * 1000, 1] for second in range(20_005)]
    done = recorded(bare, 0, [], added=many)
    assert (len(done["points"]), done["points"][0][0]) == (20_000, 5000)


def timeline(bare, expression):
    names = "{ LEAST_MS, edges, milliseconds, timeMarks, valueMarks, viewOf, wordsOf, zoomed }"
    return bare.evaluate(f"async () => {{ const {names} = await import('./timeline.js'); return {expression}; }}")


@pytest.mark.parametrize(
    ("search", "view"),
    [
        ("", {"last": "24h"}),
        ("?last=7d", {"last": "7d"}),
        ("?last=7", {"last": "24h"}),
        ("?last=0h", {"last": "24h"}),
        ("?last=999999d", {"last": "24h"}),
        ("?from=1970-01-02&to=1970-01-03", {"from": DAY, "to": 2 * DAY}),
        ("?from=1970-01-03&to=1970-01-02", {"last": "24h"}),
        ("?from=yesterday&to=today&last=1h", {"last": "1h"}),
    ],
)
def test_an_address_names_a_stretch_of_time(bare, search, view):
    """One that cannot be shown is the last day."""
    assert timeline(bare, f"viewOf('{search}')") == view
    assert timeline(bare, f"viewOf('?' + new URLSearchParams(wordsOf(viewOf('{search}'))))") == view


@pytest.mark.parametrize("hours", [0.001, 0.1, 1, 5, 24, 100, 24 * 30, 24 * 365, 24 * 3650])
def test_marks_of_time_are_few_and_within(bare, hours):
    """Whatever is shown, in a zone that changes its clock."""
    begin = 1_774_000_000_000
    marks = timeline(bare, f"timeMarks({{ from: {begin}, to: {begin + int(hours * HOUR)} }}, 8)")
    assert 1 <= len(marks) <= 14
    assert all(begin <= mark["time"] <= begin + hours * HOUR for mark in marks)
    assert len({mark["text"] for mark in marks}) == len(marks)


def test_a_day_that_changes_its_clock_has_its_hours_at_their_places(bare):
    """29 March 2026 has 23 hours in Paris: no mark is out of step with the clock behind the change."""
    begin = 1_774_738_800_000
    marks = timeline(bare, f"timeMarks({{ from: {begin}, to: {begin + 30 * HOUR} }}, 6)")
    assert [mark["text"] for mark in marks if mark["strong"]] == ["29 Mar", "30 Mar"]


@pytest.mark.parametrize(
    ("low", "high", "marks"), [(0, 1, [0, 0.5, 1]), (-3, 11, [0, 5, 10]), (400, 441, [400, 420, 440])]
)
def test_marks_of_values_are_round(bare, low, high, marks):
    """Steps of 1, 2 or 5."""
    assert timeline(bare, f"valueMarks({low}, {high}, 3)") == pytest.approx(marks)


def test_zooming_keeps_what_is_under_the_cursor(bare):
    """And ends at a few seconds."""
    assert timeline(bare, "zoomed({ from: 0, to: 100000 }, 25000, 0.5)") == {"from": 12_500, "to": 62_500}
    assert timeline(bare, "zoomed({ from: 0, to: LEAST_MS }, 0, 0.1)") == {"from": 0, "to": 5000}


def test_a_saved_file_is_what_was_shown(bare):
    """Within the stretch, with every cell quoted that needs it; a name that begins like a formula is made harmless."""
    text = bare.evaluate(
        """async () => {
          const { Recorded, csv } = await import("./recorded.js");
          const points = [[0, 1, 3, 2, 4], [60000, 1, 1, 1, 1]];
          const one = new Recorded({ sensor: "=cmd", hardware: 'a"b', width: 60, points });
          const other = new Recorded({ sensor: "co2", hardware: null, width: 0, points: [[1000, null]] });
          return csv("a,b", [one, other], 0, 60000);
        }"""
    )
    assert text.split("\r\n") == [
        "time,module,sensor,hardware,average,minimum,maximum,samples,seconds",
        '1970-01-01T00:00:00.000Z,"a,b",\'=cmd,"a""b",2,1,3,4,60',
        '1970-01-01T00:00:01.000Z,"a,b",co2,,,,,0,0',
        "",
    ]
