"""A FastAPI app that writes each order it takes to a topic, and answers when the broker has it.

    pip install fastapi uvicorn
    flymq dev &
    uvicorn --app-dir examples fastapi_app:app
    curl -d '{"customer": "ada", "drink": "coffee"}' -H 'Content-Type: application/json' localhost:8000/orders
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

from flymq import AsyncFlyMQClient, FlyMQError

TOPIC = "orders"


class Order(BaseModel):
    customer: str
    drink: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for the life of the app: its connections are shared by all requests."""
    servers = os.environ.get("FLYMQ_BOOTSTRAP_SERVERS", "localhost:9092")
    async with AsyncFlyMQClient(servers, value_serializer=lambda value: json.dumps(value).encode()) as client:
        await client.create_topic(TOPIC, partitions=3, exist_ok=True)
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders", status_code=201)
async def take(order: Order, request: Request) -> dict[str, int]:
    """All orders of a customer go to one partition, so they stay in their order."""
    try:
        written = await request.app.state.client.produce(TOPIC, order.model_dump(), key=order.customer)
    except FlyMQError as error:
        raise HTTPException(503, f"{error} ({error.hint})") from error
    return {"partition": written.partition, "offset": written.offset}
