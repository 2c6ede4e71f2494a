// The definitions of Traefik's kinds, for tests.
module fastforward/tools/traefik

go 1.25.0

require github.com/traefik/traefik/v3 v3.7.13
