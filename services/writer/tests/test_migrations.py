"""Migrations: each commits with its mark, in order and once; databases of earlier versions are used as they are."""

import threading
from importlib.resources import files

import psycopg
import pytest
from seve_writer.errors import MigrationError
from seve_writer.schema import migrate, version

ONE, TWO, THREE = "0001.one", "0002.two", "0003.three"
PACKAGED = files("seve_writer.schema") / "migrations"

MADE_BY_YOYO = """
CREATE TABLE schema_migrations (
    migration_hash varchar(64), migration_id varchar(255), applied_at_utc timestamp, PRIMARY KEY (migration_hash));
CREATE TABLE _yoyo_log (
    id varchar(36), migration_hash varchar(64), migration_id varchar(255), operation varchar(10),
    username varchar(255), hostname varchar(255), comment varchar(255), created_at_utc timestamp, PRIMARY KEY (id));
CREATE TABLE _yoyo_version (version int NOT NULL PRIMARY KEY, installed_at_utc timestamp);
CREATE TABLE yoyo_lock (locked int DEFAULT 1, ctime timestamp, pid int NOT NULL, PRIMARY KEY (locked));
INSERT INTO _yoyo_version VALUES (2, '2026-01-31 02:11:08');
INSERT INTO schema_migrations VALUES (
    '8bc66fa76d29469ee92d922c88b3321bf0ae5aa266019b210a1609589e515884', '0001.tables', '2026-01-31 02:11:08');
"""
"""What yoyo-migrations 9.0.0 leaves behind in a database."""


@pytest.fixture
def connection(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def names(connection, query="SELECT migration_id FROM schema_migrations ORDER BY migration_id"):
    return [name for (name,) in connection.execute(query)]


def tables(connection):
    return set(names(connection, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))


def test_migrations_are_applied_in_order_and_once(connection):
    migrations = {ONE: b"CREATE TABLE a (x int); INSERT INTO a VALUES (1);", TWO: b"UPDATE a SET x = x + 1;"}
    assert migrate.apply(connection, migrations) == [ONE, TWO]
    assert migrate.apply(connection, migrations) == []
    assert names(connection) == [ONE, TWO]
    assert connection.execute("SELECT x FROM a").fetchall() == [(2,)]


def test_a_migration_that_fails_leaves_nothing_and_names_itself(connection):
    """Earlier migrations stay; the broken one can be applied once it is mended."""
    broken = {ONE: b"CREATE TABLE a (x int);", TWO: b"CREATE TABLE b (x int); SELECT nothing;", THREE: b"SELECT 1;"}
    with pytest.raises(MigrationError, match=r'0002\.two was not applied: column "nothing" does not exist') as caught:
        migrate.apply(connection, broken)
    assert caught.value.name == TWO
    assert names(connection) == [ONE]
    assert "b" not in tables(connection)
    assert migrate.apply(connection, broken | {TWO: b"CREATE TABLE b (x int);"}) == [TWO, THREE]


def test_without_its_mark_a_migration_is_not_applied(connection):
    """The mark is refused here, after the statements ran: they are undone."""
    migrate.apply(connection, {})
    connection.execute("ALTER TABLE schema_migrations ADD CHECK (migration_id <> '0001.one')")
    with pytest.raises(MigrationError):
        migrate.apply(connection, {ONE: b"CREATE TABLE a (x int);"})
    assert "a" not in tables(connection)


def test_a_connection_lost_within_a_migration_leaves_nothing(connection, database_url):
    """As when `setup` is killed. The error is one that `setup` answers by trying again."""
    with psycopg.connect(database_url, autocommit=True) as other, pytest.raises(psycopg.OperationalError):
        migrate.apply(other, {ONE: b"CREATE TABLE a (x int); SELECT pg_terminate_backend(pg_backend_pid());"})
    assert "a" not in tables(connection)
    assert names(connection) == []
    assert migrate.apply(connection, {ONE: b"CREATE TABLE a (x int);"}) == [ONE]


def test_a_gap_below_an_applied_migration_is_refused(connection):
    """No version made such a database; filling it in would run migrations in an order that nobody tried."""
    migrate.apply(connection, {TWO: b"SELECT 1;"})
    with pytest.raises(MigrationError, match=r"0002\.two was applied without it"):
        migrate.apply(connection, {ONE: b"SELECT 1;", TWO: b"SELECT 1;"})


def test_migrations_of_a_newer_version_are_left_alone(connection):
    """An older `setup` on a newer database: a writer decides whether it can use it."""
    migrate.apply(connection, {ONE: b"SELECT 1;", TWO: b"SELECT 1;"})
    assert migrate.apply(connection, {ONE: b"SELECT 1;"}) == []


def test_a_database_migrated_by_an_earlier_version_is_used_as_it_is(connection, database_url):
    """Nothing runs twice, the time that the audit reads stays, and later migrations follow."""
    connection.execute((PACKAGED / "0001.tables.sql").read_bytes())
    connection.execute(MADE_BY_YOYO)
    assert migrate.migrate(database_url) == [name for name in version.packaged() if name != "0001.tables"]
    first = "SELECT min(applied_at_utc)::text FROM schema_migrations"
    assert names(connection, first) == ["2026-01-31 02:11:08"]
    following = dict.fromkeys(version.packaged(), b"") | {"9999.next": b"SELECT 1;"}
    assert migrate.apply(connection, following) == ["9999.next"]


def test_tables_that_an_earlier_version_left_without_a_mark_are_taken_over(connection, database_url):
    """It committed the tables first; killed in between, it left no mark."""
    connection.execute((PACKAGED / "0001.tables.sql").read_bytes())
    assert migrate.migrate(database_url) == version.packaged()


def test_one_process_migrates_at_a_time(connection, database_url):
    """A second one waits for the advisory lock, and then finds nothing to do."""
    results = []
    with migrate.alone(database_url) as holder:
        second = threading.Thread(target=lambda: results.append(migrate.migrate(database_url)))
        second.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = "
        own = "(SELECT oid FROM pg_database WHERE datname = current_database())"
        while not connection.execute(waiting + own).fetchone()[0]:
            assert second.is_alive()
        folder = {name: (PACKAGED / f"{name}.sql").read_bytes() for name in version.packaged()}
        assert migrate.apply(holder, folder) == version.packaged()
    second.join(60)
    assert results == [[]]


def test_the_packaged_migrations_are_numbered_without_a_gap():
    """`0001.name`, `0002.name`: two with one number would be applied in no fixed order."""
    assert [version.number(name) for name in version.packaged()] == list(range(1, version.EXPECTED + 1))


@pytest.mark.parametrize("name", version.packaged())
def test_a_packaged_migration_stays_within_its_transaction(name):
    """COMMIT would separate it from its mark, and CONCURRENTLY is refused within a transaction."""
    lines = (PACKAGED / f"{name}.sql").read_text(encoding="utf-8").upper().splitlines()
    words = " ".join(line.partition("--")[0] for line in lines).replace(";", " ").split()
    assert {"COMMIT", "ROLLBACK", "CONCURRENTLY", "VACUUM"}.isdisjoint(words)
