module squashproxy.dev/tests/load

go 1.21
