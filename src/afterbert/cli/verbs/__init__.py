"""One module per verb; its public function of the same name is the command. Heavy imports happen inside the
function.

A module may say `PLACE`, a number: its hundreds are the panel of the help, and within one verbs stand in the order of a
first visit; those without one follow, by name. `TAKES_RECIPE_OPTIONS = True` lets settings of a recipe through as
options.
"""

PANELS = (
    "Make a model",
    "Put a model to work",
    "See and compare ideas",
    "Look at results",
    "Make it smaller, take it elsewhere",
    "This machine",
)
