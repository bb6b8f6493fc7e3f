package fleet

import "syscall"

func init() {
	dieWithParent = func(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
}
