//go:build failpoints

package failpoint

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// Point is a place where a process may die.
type Point struct{ name string }

func point(name string) Point { return Point{name} }

// Hit says that the process is at the point, and about what: a method, a type of event, or nothing.
func (p Point) Hit(about string) { here.hit(Place{Point: p.name, About: about}) }

// here is this process. Its role is the first argument of its command line.
var here = process{folder: Folder(os.Getenv("ROSTER_FAILPOINTS"))}

type process struct {
	folder Folder

	mu    sync.Mutex
	order string // the one that is counted for
	count int    // how often the process has come to its place
}

func (p *process) hit(at Place) {
	if p.folder == "" || len(os.Args) < 2 {
		return
	}
	role := os.Args[1]
	p.mu.Lock()
	defer p.mu.Unlock()
	must(p.folder.note(role, at))
	next, rest, err := p.folder.next(role)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	must(err)
	if next.id != p.order {
		p.order, p.count = next.id, 0
	}
	if next.at != at.String() {
		return
	}
	if p.count++; p.count < next.nth {
		return
	}
	must(p.folder.save(role, rest))
	must(syscall.Kill(os.Getpid(), syscall.SIGKILL))
	select {} // with the lock: nobody comes past another point meanwhile
}

// must stops a process that cannot do as it is told: a crash that does not come would prove nothing.
func must(err error) {
	if err != nil {
		panic("failpoint: " + err.Error())
	}
}
