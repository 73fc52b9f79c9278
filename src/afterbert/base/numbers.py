"""The kinds of numbers that settings are, with what is checked of each when a recipe or a command is read."""

from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(gt=0)]
CountFromZero = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
#: From 0 to 1, both included.
Share = Annotated[float, Field(ge=0, le=1)]
#: Above 0, up to 1.
Rate = Annotated[float, Field(gt=0, le=1)]
#: Above 0, below 1.
InnerShare = Annotated[float, Field(gt=0, lt=1)]
#: From 0, below 1.
ShareBelowOne = Annotated[float, Field(ge=0, lt=1)]
DropoutRate = ShareBelowOne
