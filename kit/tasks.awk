# Lists the tasks of Makefile.toml that people run, in the file's order: cargo make NAME, description.
function list() {
    if (name != "" && description != "" && !private) printf "cargo make %-9s %s\n", name, description
    name = description = ""
    private = 0
}
/^\[/ { list() }
/^\[tasks\.[A-Za-z0-9_-]+\]/ { name = $0; sub(/^\[tasks\./, "", name); sub(/\].*$/, "", name) }
/^private = true/ { private = 1 }
/^description = "/ { description = $0; sub(/^description = "/, "", description); sub(/"[^"]*$/, "", description) }
END { list() }
