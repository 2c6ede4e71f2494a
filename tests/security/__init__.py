"""What attackers try, on the real proxy; each check is also shown to fail on a build that is broken on purpose."""
