// Package failpoint names the places where a process may die: between two steps that the same crash can tear apart.
// In the binary that ships a point is nothing, and the compiler takes it away. Built with `-tags failpoints`, a process
// notes every point that it comes to, and dies at the one that it is told to, as by kill -9. Which that is stands in a
// folder, see Folder; what has to hold afterwards is for package e2e/crash.
package failpoint

import (
	"fmt"
	"slices"
)

// names of all points. Only variables of packages make points, so it is complete, and still, before main runs.
var names []string

// New names a point. It is for variables of packages: `var committed = failpoint.New("postgres.after_commit")`. The name
// says where the process dies; names are unique.
func New(name string) Point {
	if slices.Contains(names, name) {
		panic(fmt.Sprintf("failpoint: %s exists twice", name))
	}
	names = append(names, name)
	return point(name)
}

// All returns the names of the points in the packages of this process, sorted.
func All() []string { return slices.Sorted(slices.Values(names)) }
