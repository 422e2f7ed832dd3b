"""What the OpenAPI page says of one answer."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema


def described(page: dict[str, Any], response: httpx.Response) -> dict[str, Any]:
    """Return the page's example of such an answer, after holding the answer against the page's schema."""
    told = page["paths"][response.request.url.path]["post"]["responses"][str(response.status_code)]
    content = told["content"][response.headers["content-type"]]
    jsonschema.validate(response.json(), {**content["schema"], "components": page["components"]})
    return content["example"]
