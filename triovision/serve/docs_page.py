"""Page about the routes, made from the OpenAPI document, without scripts and without another server."""

from __future__ import annotations

from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

_METHODS: Final = ("get", "post")


def docs_page(document: dict[str, Any]) -> str:
    """Return the page as HTML.

    Args:
        document: OpenAPI document.
    """
    routes = [
        {
            "method": method.upper(),
            "path": path,
            "text": operation.get("description", operation.get("summary", "")),
            "fields": [*_parameters(operation), *_body_fields(operation, document)],
            "answers": {
                status: answer.get("description", "") for status, answer in sorted(operation["responses"].items())
            },
        }
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in _METHODS
    ]
    loader = PackageLoader("triovision.serve")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("docs.html").render(info=document["info"], routes=routes)


def _parameters(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        _field(one["name"], one["in"], one.get("required", False), one["schema"] | one)
        for one in operation.get("parameters", [])
    ]


def _body_fields(operation: dict[str, Any], document: dict[str, Any]) -> list[dict[str, Any]]:
    fields = []
    for content in operation.get("requestBody", {}).get("content", {}).values():
        reference = content["schema"].get("$ref") or content["schema"]["allOf"][0]["$ref"]
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
        required = schema.get("required", [])
        fields += [_field(name, "form", name in required, one) for name, one in schema["properties"].items()]
    return fields


def _field(name: str, where: str, required: bool, schema: dict[str, Any]) -> dict[str, Any]:
    default = schema.get("default")
    return {
        "name": name,
        "where": where,
        "required": required,
        "default": "" if default in (None, [], "") else default,
        "text": schema.get("description", ""),
    }
