package org

import (
	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// ErrNoProject is the answer about projects that the organization does not have, whoever has them.
var ErrNoProject = fault.New(errorv1.Reason_REASON_PROJECT_NOT_FOUND, "There is no such project in this organization.")

// FindProject refuses to use a project that is not there, or where the policy has no use for projects.
func (o Organization) FindProject(there bool) error {
	switch {
	case !there:
		return ErrNoProject
	case !o.Policy.Projects:
		return SwitchedOff("projects")
	}
	return nil
}
