//go:build !failpoints

package failpoint

// Point is a place where a process may die.
type Point struct{}

func point(string) Point { return Point{} }

// Hit says that the process is at the point, and about what: a method, a type of event, or nothing.
func (Point) Hit(string) {}
