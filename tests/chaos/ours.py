"""What our workers load beside their tasks: the ledger."""

from tests.chaos import ledger

ledger.connect()
