"""Tables of a configuration: closed, frozen, and of numbers in ranges."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationInfo, field_validator

MOST = 10**9  # a number is from -MOST to MOST, unless its own field says otherwise
WIDEST = 2**16  # features of a layer

# Numbers of several layers, one each.
Counts = Annotated[list[Annotated[int, Field(ge=0, le=1000)]], Field(min_length=1, max_length=64)]
Widths = Annotated[list[Annotated[int, Field(ge=1, le=WIDEST)]], Field(min_length=1, max_length=64)]


class Section(BaseModel):
    """A table of the configuration: closed (unknown keys are errors), frozen, and of numbers in ranges."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _is_in_range(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name or ""]
        if not any(hasattr(limit, "le") or hasattr(limit, "lt") for limit in field.metadata):
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int | float) and abs(number) > MOST:
                    raise ValueError(f"numbers are from {-MOST:,} to {MOST:,}")
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler.resolve_ref_schema(handler(core_schema))
        for each in schema.get("properties", {}).values():
            _state_range(each)
        return schema


# In a JSON schema, of a number that has none of its own.
def _state_range(schema: dict[str, Any]) -> None:
    for inside in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())):
        _state_range(inside)
    if schema.get("type") in ("integer", "number"):
        if not {"minimum", "exclusiveMinimum"} & schema.keys():
            schema["minimum"] = -MOST
        if not {"maximum", "exclusiveMaximum"} & schema.keys():
            schema["maximum"] = MOST
