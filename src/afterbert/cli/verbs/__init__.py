"""One module per verb; its public function of the same name is the command. Heavy imports happen inside the
function."""
