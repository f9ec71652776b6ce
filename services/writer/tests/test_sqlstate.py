"""Errors are classified by code if their class is mixed, else by class."""

import pytest
from psycopg import errors
from seve_writer.database.batch_writer import judge
from seve_writer.database.retry_policy import Attempt, NextStep
from seve_writer.database.sqlstate import Fault, classify
from seve_writer.errors import SchemaError


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (errors.AdminShutdown, Fault.DATABASE),
        (errors.CrashShutdown, Fault.DATABASE),
        (errors.CannotConnectNow, Fault.DATABASE),
        (errors.ConnectionFailure, Fault.DATABASE),
        (errors.ProtocolViolation, Fault.DATABASE),
        (errors.QueryCanceled, Fault.DATABASE),
        (errors.LockNotAvailable, Fault.DATABASE),
        (errors.DeadlockDetected, Fault.DATABASE),
        (errors.SerializationFailure, Fault.DATABASE),
        (errors.DiskFull, Fault.DATABASE),
        (errors.OutOfMemory, Fault.DATABASE),
        (errors.TooManyConnections, Fault.DATABASE),
        (errors.IoError, Fault.DATABASE),
        (errors.ReadOnlySqlTransaction, Fault.DATABASE),
        (errors.IdleInTransactionSessionTimeout, Fault.DATABASE),
        (errors.TransactionTimeout, Fault.DATABASE),
        (errors.UniqueViolation, Fault.CONFLICT),
        (errors.ConfigurationLimitExceeded, Fault.DECOMPRESSION),
        (errors.CheckViolation, Fault.ROW),
        (errors.NotNullViolation, Fault.ROW),
        (errors.ForeignKeyViolation, Fault.ROW),
        (errors.ExclusionViolation, Fault.ROW),
        (errors.NumericValueOutOfRange, Fault.ROW),
        (errors.CharacterNotInRepertoire, Fault.ROW),
        (errors.ProgramLimitExceeded, Fault.ROW),
        (errors.StatementTooComplex, Fault.ROW),
        (errors.WithCheckOptionViolation, Fault.ROW),
        (errors.UndefinedTable, Fault.SCHEMA),
        (errors.UndefinedColumn, Fault.SCHEMA),
        (errors.InsufficientPrivilege, Fault.SCHEMA),
        (errors.InvalidPassword, Fault.SCHEMA),
        (errors.InvalidCatalogName, Fault.SCHEMA),
        (errors.InvalidSchemaName, Fault.SCHEMA),
        (errors.BadCopyFileFormat, Fault.SCHEMA),
        (errors.InvalidBinaryRepresentation, Fault.SCHEMA),
        (errors.FeatureNotSupported, Fault.UNKNOWN),
        (errors.RaiseException, Fault.UNKNOWN),
        (errors.InternalError_, Fault.UNKNOWN),
        (errors.CardinalityViolation, Fault.UNKNOWN),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else value.value,
)
def test_every_class_of_error_is_classified(error, fault):
    """By PostgreSQL's own names of the errors."""
    assert fault is classify(error.sqlstate)
    assert (fault, error.sqlstate) == judge(error("told"))


def test_an_error_without_a_sqlstate_is_a_lost_connection_or_unknown():
    """Psycopg has no SQLSTATE for errors that the server could not report."""
    assert judge(errors.OperationalError("gone")) == (Fault.DATABASE, None)
    assert judge(TimeoutError()) == (Fault.DATABASE, None)
    assert judge(errors.DataError("a client's")) == (Fault.UNKNOWN, None)
    assert judge(SchemaError(3, 1, "too old")) == (Fault.SCHEMA, None)


def test_a_conflict_is_retried_as_an_upsert_and_a_second_one_is_the_rows_fault():
    """A unique key that is not the table's own is the row's fault."""
    attempt = Attempt(upsert=False)
    assert (attempt.failed(Fault.CONFLICT), attempt.upsert) == (NextStep.AGAIN, True)
    assert attempt.failed(Fault.CONFLICT) is NextStep.REFUSED


def test_the_decompression_limit_is_lifted_once():
    """After that, the error is handled like one of unknown cause."""
    attempt = Attempt(upsert=False)
    assert (attempt.failed(Fault.DECOMPRESSION), attempt.unlimited) == (NextStep.AGAIN, True)
    assert attempt.failed(Fault.DECOMPRESSION) is NextStep.PROBE


def test_a_fault_of_the_database_is_retried_for_ever():
    """An outage of hours ends no batch."""
    attempt = Attempt(upsert=False)
    assert {NextStep.LATER} == {attempt.failed(fault) for fault in (Fault.DATABASE, Fault.SCHEMA) * 1000}


def test_an_unknown_error_counts_only_while_the_database_answers():
    """After three such, the part is refused; a database that does not answer refuses nothing."""
    attempt = Attempt(upsert=False)
    for answered in (False, True, False, True, True):
        assert attempt.failed(Fault.UNKNOWN) is NextStep.PROBE
        attempt.probed(answered=answered)
    assert attempt.failed(Fault.UNKNOWN) is NextStep.REFUSED
