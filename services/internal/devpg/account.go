package devpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is the user PostgreSQL runs as. PostgreSQL refuses to run as root, so root borrows
// another account; everybody else runs it as themselves, which is a nil credential.
type account struct {
	name       string
	credential *syscall.Credential
}

// settle decides where the cluster of dir lives and who runs it. It lives in dir, except when we
// are root and the unprivileged account cannot enter dir, as below /root: then it lives in a folder
// of its own below /var/tmp, and dir keeps a note of it.
func settle(ctx context.Context, dir string) (home string, a account, err error) {
	note := filepath.Join(dir, "postgres.location")
	home = dir
	noted, err := os.ReadFile(note)
	if err == nil {
		home = strings.TrimSpace(string(noted))
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", a, err
	}
	if a, err = accountFor(filepath.Join(home, "data")); err != nil {
		return "", a, err
	}
	if home != dir { // noted earlier; the system may have tidied it away since
		return home, a, a.makePrivate(home)
	}
	if reachable, err := a.canEnter(ctx, dir); err != nil || reachable {
		return dir, a, err
	}
	if exists(filepath.Join(dir, "data")) {
		return "", a, fmt.Errorf("the user %s, who owns the data, can no longer enter the folder", a.name)
	}
	home = filepath.Join("/var/tmp", "roster-"+hash(dir))
	slog.InfoContext(ctx, "PostgreSQL keeps its data elsewhere: its user cannot enter the folder",
		"folder", dir, "user", a.name, "data", home)
	if err := a.makePrivate(home); err != nil {
		return "", a, err
	}
	return home, a, os.WriteFile(note, []byte(home+"\n"), 0o644)
}

// removeHome forgets a private folder that settle made.
func removeHome(dir, home string) error {
	if home == dir {
		return nil
	}
	return errors.Join(os.RemoveAll(home), os.Remove(filepath.Join(dir, "postgres.location")))
}

// accountFor returns the account that runs the cluster in data: the owner of the data if there is
// any, so that a postgres user who appears later does not lock us out.
func accountFor(data string) (account, error) {
	if os.Geteuid() != 0 {
		return account{name: "you"}, nil
	}
	if info, err := os.Stat(data); err == nil {
		if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 0 {
			return account{
				name:       "number " + strconv.Itoa(int(stat.Uid)),
				credential: &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid},
			}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return account{}, err
		}
		return account{name: name, credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return account{}, errors.New("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it")
}

// command prepares a program that runs as the account, in its own process group so that Ctrl-C on
// the terminal reaches us first, and that dies with us. It gets none of our environment: PGDATA and
// its kind would change what PostgreSQL does, and our secrets are none of its business.
func (a account) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = "/" // the account may not be able to enter ours
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: a.credential}
	dieWithParent(cmd.SysProcAttr)
	return cmd
}

// canEnter asks the system, as the account, instead of computing it: access lists and mount
// options have a say too.
func (a account) canEnter(ctx context.Context, dir string) (bool, error) {
	if a.credential == nil {
		return true, nil
	}
	err := run(ctx, a.command("test", "-x", dir))
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return false, nil
	}
	return err == nil, err
}

// makePrivate makes a folder that only the account, and root, can enter. The folders we make in
// public places have names that anybody can guess, so one that is there already must be ours.
func (a account) makePrivate(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if !info.IsDir() || owner != uint32(os.Geteuid()) && (a.credential == nil || owner != a.credential.Uid) {
		return fmt.Errorf("%s belongs to somebody else: remove it", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil || a.credential == nil {
		return err
	}
	return os.Lchown(dir, int(a.credential.Uid), int(a.credential.Gid))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
