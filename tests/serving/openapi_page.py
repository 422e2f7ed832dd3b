"""What the OpenAPI page says of one answer."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema


def described(page: dict[str, Any], response: httpx.Response) -> dict[str, Any]:
    """Return the page's example of such an answer, after holding the answer against the page's schema."""
    return described_as(page, response, page["paths"][response.request.url.path]["post"])


def described_as(page: dict[str, Any], response: httpx.Response, operation: dict[str, Any]) -> dict[str, Any]:
    """Hold an answer against what the page says of an operation, and return the page's example of it."""
    content = operation["responses"][str(response.status_code)]["content"][response.headers["content-type"]]
    jsonschema.validate(response.json(), {**content["schema"], "components": page["components"]})
    return content.get("example", {})
