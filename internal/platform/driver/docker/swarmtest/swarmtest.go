// Package swarmtest holds the tests of package docker on a Swarm, apart from the
// others so that both run at once.
package swarmtest
