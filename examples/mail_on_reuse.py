"""Mails the user when a copied refresh token has ended a session. pip install redis; docs/events.md describes the events."""
import json
import os
import smtplib
import socket
from email.message import EmailMessage

import redis

STREAM = os.environ.get("STREAM", "rt:meta:events")
GROUP, CONSUMER = "mail-on-reuse", f"{socket.gethostname()}-{os.getpid()}"
TAKE_OVER = 60_000  # milliseconds after which another process takes over an event that is not acknowledged


def address_of(user_id):
    """The e-mail address of a user. Replace this with a query of your database."""
    return f"{user_id}@example.com"


def mail(user_id):
    message = EmailMessage()
    message["From"], message["To"] = os.environ["MAIL_FROM"], address_of(user_id)
    message["Subject"] = "We logged out one of your devices"
    message.set_content(
        "Somebody used a copy of a log-in of yours, so we ended it on that device. Your other devices stay logged in.\n"
        "Log in again. If you find a device that you do not know under My devices, log it out and change your password."
    )
    with smtplib.SMTP(os.environ.get("SMTP_HOST", "localhost"), int(os.environ.get("SMTP_PORT", "25"))) as smtp:
        smtp.send_message(message)


def handle(client, entry_id, event):
    if event.get("type") == "ended" and event.get("reason") == "reuse":
        mail(json.loads(event["id"]))
    client.xack(STREAM, GROUP, entry_id)  # after the mail: a crash in between mails twice, and never not at all


def main():
    client = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True, socket_timeout=30)
    try:
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise
    while True:
        _, left, *_ = client.xautoclaim(STREAM, GROUP, CONSUMER, TAKE_OVER, "0", count=10)
        fresh = client.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=10, block=5000)
        for entry_id, event in left + [entry for _, entries in fresh or [] for entry in entries]:
            handle(client, entry_id, event)


if __name__ == "__main__":
    main()
