module squashproxy.dev/tests/pulls

go 1.22
