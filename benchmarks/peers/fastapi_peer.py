"""What a team would build with FastAPI instead; the same promises as the Fastify peer, measured for information.

uvicorn fastapi_peer:app --port PORT --workers 2, with DATABASE, JWKS, ISSUER and AUDIENCE in the environment.
"""

import json
import os
import re
import sqlite3
import threading
import time
from datetime import datetime, timezone

import jwt
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

DATABASE, ISSUER, AUDIENCE = (os.environ[name] for name in ("DATABASE", "ISSUER", "AUDIENCE"))
ROWS_A_CHUNK = 1000
COMPANY = re.compile(r"[0-9]{8}")
MERGE = """INSERT INTO logins VALUES (?, ?, ?) ON CONFLICT (cvr)
           DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)"""

with open(os.environ["JWKS"], encoding="utf-8") as key_set:
    KEYS = {key["kid"]: jwt.PyJWK(key) for key in json.load(key_set)["keys"]}

app = FastAPI()
local = threading.local()
# Verified tokens and when they end.
end_of = {}


def database():
    """The connection of this thread."""
    if not hasattr(local, "connection"):
        local.connection = sqlite3.connect(DATABASE, isolation_level=None, timeout=30)
        local.connection.execute("PRAGMA journal_mode=WAL")
        local.connection.execute("PRAGMA synchronous=FULL")
    return local.connection


async def caller(request: Request):
    """Lets a caller with a good token pass."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer":
        raise HTTPException(401)
    if end_of.get(token, 0) > time.time():
        return
    try:
        key = KEYS[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=ISSUER)
    except (jwt.PyJWTError, KeyError) as fault:
        raise HTTPException(401) from fault
    end_of[token] = claims["exp"]


class Company(BaseModel):
    """`VirksomhedsLoginDto`"""
    cvrNummer: str


class Login(BaseModel):
    """SetLogin's body."""
    VirksomhedsLoginDto: Company


def record(cvr, first, last):
    """A company as the contract writes it."""
    def text(millis):
        moment = datetime.fromtimestamp(millis // 1000, timezone.utc)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{millis % 1000:03d}Z"
    return {"cvrNummer": f"{cvr:08d}", "tidligsteLoginTidspunkt": text(first), "senesteLogintidspunkt": text(last)}


@app.get("/v1/Login", dependencies=[Depends(caller)])
async def get_login(cvrNummer: str):
    """One company."""
    if not COMPANY.fullmatch(cvrNummer):
        raise HTTPException(400)
    found = database().execute("SELECT first, last FROM logins WHERE cvr = ?", (int(cvrNummer),)).fetchone()
    if not found:
        raise HTTPException(404)
    return {"VirksomhedsLoginDto": record(int(cvrNummer), *found)}


@app.put("/v1/Login/{cvr}", status_code=204, dependencies=[Depends(caller)])
def set_login(cvr: str, body: Login):
    """A login; it waits for the disk, so it runs in a thread of the pool."""
    if not COMPANY.fullmatch(cvr) or body.VirksomhedsLoginDto.cvrNummer != cvr:
        raise HTTPException(400)
    now = time.time_ns() // 1_000_000
    database().execute(MERGE, (int(cvr), now, now))
    return Response(status_code=204)


@app.get("/v1/Logins", dependencies=[Depends(caller)])
def get_logins():
    """All companies, as a stream."""
    def rows():
        cursor = sqlite3.connect(DATABASE, check_same_thread=False).execute(
            "SELECT cvr, first, last FROM logins ORDER BY cvr")
        text = '{"virksomheder":['
        while chunk := cursor.fetchmany(ROWS_A_CHUNK):
            yield text + ",".join(json.dumps(record(*row), separators=(",", ":")) for row in chunk)
            text = ","
        # Only an empty list has yet to be opened.
        yield ("" if text == "," else text) + "]}"
    return StreamingResponse(rows(), media_type="application/json")
