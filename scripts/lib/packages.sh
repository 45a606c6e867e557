# packages.sh: installs what packaging/debian-packages.txt lists and this machine lacks.
# Sourced; needs $root. Quiet if nothing is missing.

# listed_packages SECTION...: "package command" lines of these sections
listed_packages() {
    awk -v wanted=" $* " '
        { sub(/#.*/, "") }
        NF == 0 { next }
        /:$/ { section = substr($1, 1, length($1) - 1); next }
        index(wanted, " " section " ") { print $1, $2 }
    ' "$root/packaging/debian-packages.txt"
}

# missing_packages SECTION...: names of those that are not installed
missing_packages() {
    local package command
    listed_packages "$@" | while read -r package command; do
        if [ -n "$command" ] && command -v "$command" >/dev/null; then
            continue
        fi
        dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            echo "$package"
    done
}

# install_packages SECTION...
install_packages() {
    local missing as_root=
    if ! command -v dpkg-query >/dev/null; then
        echo "$0: this is not Debian; install what packaging/debian-packages.txt lists" >&2
        return 0
    fi
    missing=$(missing_packages "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "$0: as root, run: apt-get install $missing" >&2
            return 1
        fi
        as_root=sudo
    fi
    echo "Installing Debian packages: $missing" >&2
    quietly $as_root apt-get update -q &&
        quietly $as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends $missing
}
