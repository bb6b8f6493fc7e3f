package devpg

import "syscall"

func init() {
	// PostgreSQL takes SIGINT for a fast shutdown: the data is clean at the next start.
	dieWithParent = func(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }
}
