package org

import (
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// maxProjects is how many an organization has.
const maxProjects = 1000

// Faults about projects.
var (
	ErrNoProject        = fault.New(errorv1.Reason_REASON_PROJECT_NOT_FOUND, "There is no such project in this organization.")
	ErrProjectNameTaken = fault.New(errorv1.Reason_REASON_NAME_TAKEN, "Another project of this organization has this name.")
)

// Project is a part of what an organization does. The zero Project is none.
type Project struct {
	ID          id.Project `db:"project_id"`
	DisplayName string
	Description string
	Version     int64
	CreateTime  time.Time
}

// ProjectMember is a direct membership in a project. The zero one is none.
type ProjectMember struct {
	Account  id.Account `db:"account_id"`
	Project  id.Project `db:"project_id"`
	Role     id.Role    `db:"role_id"`
	JoinTime time.Time  `db:"join_time"`
}

// In is the actor in a project, where grants of the project count too. Only what the project itself is about may be decided on it.
func (a Actor) In(project id.Project) Actor {
	a.Permissions = a.organization.Keyed(a.member, a.organization.Permissions(a.member, project))
	return a
}

// UseProjects refuses an actor who may not, and everybody where the policy has no use for projects.
func (a Actor) UseProjects(permission string) error {
	if err := a.Need(permission); err != nil {
		return err
	}
	if !a.organization.Policy.Projects {
		return SwitchedOff("projects")
	}
	return nil
}

// CreateProject returns a new project, of which there are some already.
func (a Actor) CreateProject(p Project, there int64) (Project, error) {
	if err := a.UseProjects(ManageProjects); err != nil {
		return p, err
	}
	if there >= maxProjects {
		return p, limitReached("projects", maxProjects)
	}
	p.Version = 1
	return p, nil
}

// Find refuses a project that is not there, and an actor in it who may not use it.
func (a Actor) Find(p Project, permission string) error {
	switch {
	case !a.May(permission):
		return a.Need(permission)
	case p.ID.IsZero():
		return ErrNoProject
	}
	return a.UseProjects(permission)
}

// Change returns the project with other words.
func (p Project) Change(to Project, etag string) (Project, error) {
	if err := match(etag, p.Version); err != nil {
		return p, err
	}
	to.Version = p.Version + 1
	return to, nil
}

// Engage returns the role that the target gets in a project, if the actor in it may give it. Nobody engages themselves: a direct membership may outlive
// that of the organization.
func (a Actor) Engage(target Member, p Project, is ProjectMember, key string) (Role, error) {
	if err := a.Find(p, ManageProjects); err != nil {
		return Role{}, err
	}
	if err := a.Empower(target, ManageProjects); err != nil {
		return Role{}, err
	}
	role, err := a.Give(key)
	if err != nil {
		return Role{}, err
	}
	if !is.Account.IsZero() {
		return Role{}, fault.New(errorv1.Reason_REASON_ALREADY_MEMBER, "This person is a direct member of the project already.").
			With("accountId", is.Account.String())
	}
	return role, nil
}

// Disengage refuses an actor in a project who may not end a direct membership.
func (a Actor) Disengage(target Member, p Project, is ProjectMember) error {
	if err := a.Find(p, ManageProjects); err != nil {
		return err
	}
	if target.Belongs() {
		if err := a.Manage(target, ManageProjects); err != nil {
			return err
		}
	}
	if is.Account.IsZero() {
		return ErrNoMember
	}
	return nil
}

// Left are the direct memberships that end with that of the organization: all, unless the policy has guests. Who was disabled
// stays nowhere, for to remove somebody gives them nothing.
func (o Organization) Left(before Member, everywhere bool) (left []Grant) {
	if o.Policy.ProjectGuests && !everywhere && before.State == MemberActive {
		return nil
	}
	for _, g := range before.Grants {
		if g.Source == ByProject {
			left = append(left, g)
		}
	}
	return left
}
