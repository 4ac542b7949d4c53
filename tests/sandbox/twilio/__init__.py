"""Twilio as the sandbox plays it."""

from tests.sandbox.twilio.messages import Message
from tests.sandbox.twilio.player import ACCOUNT_SID, FROM_NUMBER, TwilioPlayer

__all__ = ["ACCOUNT_SID", "FROM_NUMBER", "Message", "TwilioPlayer"]
