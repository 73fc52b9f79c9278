"""One module per verb; its public function of the same name is the command. Heavy imports happen inside the
function.

A module may say `PLACE`, a number: verbs are listed by it, in the order of a first visit; those without one follow,
by name. `TAKES_RECIPE_OPTIONS = True` lets settings of a recipe through as options.
"""
