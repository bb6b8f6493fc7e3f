package membership

import (
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// changedRole writes that a member has another role, and tells of it; the person, too, where it allows them something that the one before
// did not. by is who gave it to them; zero: they took it themselves.
func (s *Service) changedRole(q store.Queries, at store.Standing, before, after org.Member, by id.Account, why *eventv1.Context) error {
	o := at.Organization
	was, _ := o.Roles.ByID(before.Role)
	is, _ := o.Roles.ByID(after.Role)
	q.SaveMember(o.ID, after, false)
	q.SaveStanding(o.ID, after, is.Key)
	if address := at.People[after.Account].Email; address != "" && is.Raises(was) {
		note := mail.RoleRaised{Organization: o.DisplayName, Role: is.DisplayName, Time: q.Now(), ResetLink: s.PublicURL + "/forgot"}
		if by != after.Account {
			note.By = at.People[by].Shown().DisplayName
		}
		if err := mail.Add(s.Mail, q.Tx, o.ID, after.Account, address, note); err != nil {
			return err
		}
	}
	return outbox.Publish(q.Tx, o.ID, q.Now(), &eventv1.MemberRoleChanged{
		Context: why, Before: memberToEvent(o, before), After: memberToEvent(o, after)})
}
