package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// AuditEvent is a row of the audit view.
type AuditEvent struct {
	ID        id.Event `db:"event_id"`
	Time      time.Time
	Service   string
	Revision  int64 // 0: a denial, which no history tells of
	Type      string
	ActorKind string
	ActorID   string
	Targets   []string
	Cause     string
	CauseID   string
	Reason    string
	RequestID string
	TraceID   string
	Data      json.RawMessage
	Personal  *AuditPersonal
}

// AuditPersonal is what of an event can be erased: whom it is about, and where the call came from.
type AuditPersonal struct {
	DisplayName   string `json:"displayName,omitempty"`
	Email         string `json:"email,omitempty"`
	Username      string `json:"username,omitempty"`
	ClientAddress string `json:"clientAddress,omitempty"`
	Query         string `json:"query,omitempty"`   // what was looked for, which may be a name or an address
	Words         string `json:"words,omitempty"`   // name and username, folded
	Contact       string `json:"contact,omitempty"` // email, folded
}

// SaveAuditEvent shows an event in the audit view. Of a service's history nothing can stand behind its newest event: what
// does was told by a history that was lost.
func (q Queries) SaveAuditEvent(key id.Organization, e AuditEvent) {
	q.Write(`DELETE FROM audit_events WHERE organization_id = $1 AND service = $2 AND revision >= $3`, key, e.Service, e.Revision)
	q.insertAuditEvent(key, e)
}

func (q Queries) insertAuditEvent(key id.Organization, e AuditEvent) {
	if e.Personal != nil {
		personal := *e.Personal
		personal.Words, personal.Contact = fold(personal.DisplayName+" "+personal.Username), fold(personal.Email)
		e.Personal = &personal
	}
	q.Write(`
		INSERT INTO audit_events (organization_id, time, event_id, service, revision, type, actor_kind, actor_id, targets,
			cause, cause_id, reason, request_id, trace_id, data, personal)
		VALUES ($1, $2, $3, $4, nullif($5, 0), $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
			CASE WHEN NOT EXISTS (SELECT FROM erased WHERE id = ANY ($17::uuid[])) THEN $16::jsonb END)`,
		key, e.Time, e.ID, e.Service, e.Revision, e.Type, e.ActorKind, e.ActorID, e.Targets,
		e.Cause, e.CauseID, e.Reason, e.RequestID, e.TraceID, e.Data, e.Personal, e.people())
	q.Write(`INSERT INTO audit_targets (organization_id, target, time, event_id) SELECT $1, unnest($4::text[]), $2, $3`,
		key, e.Time, e.ID, e.Targets)
}

// people are the accounts and invitations that the event names.
func (e AuditEvent) people() (people []id.Any) {
	for _, text := range append([]string{e.ActorID}, e.Targets...) {
		if account, err := id.ParseAccount(text); err == nil {
			people = append(people, id.Any(account))
		} else if invitation, err := id.ParseInvitation(text); err == nil {
			people = append(people, id.Any(invitation))
		}
	}
	return people
}

// AuditFilter says which events are wanted.
type AuditFilter struct {
	Actor, Target string // ids; empty: whoever, whatever
	Types         []string
	Start, End    time.Time // zero: without bound
	Query         string    // part of a type, an id, a name or a username
	Contacts      bool      // whoever asks may see addresses, so the query finds them too
}

// AuditCursor is where a page ends.
type AuditCursor struct {
	Time time.Time
	ID   id.Event
}

// auditWindow is how many events are looked at for a page when no index has what is asked for.
const auditWindow = 5000

const auditColumns = `event_id, time, service, coalesce(revision, 0) AS revision, type, actor_kind, actor_id, targets, cause, cause_id, reason, request_id, trace_id, data, personal`

// ListAuditEvents returns a page, the newest first, and where the next one begins; nil at the end. The target, else the
// actor, else the types are found by index; whatever else is asked for is looked for among the next auditWindow of those, and
// then a page may be short although more follow.
func (q Queries) ListAuditEvents(ctx context.Context, key id.Organization, f AuditFilter, after AuditCursor, size int) (page []AuditEvent, next *AuditCursor, err error) {
	args := arguments{key}
	rows, left := f.source(&args, after)
	conditions := left.conditions(&args)
	limit := size + 1
	if conditions != "" {
		limit = auditWindow
		q.planAnew()
	}
	within := fmt.Sprintf(rows, limit)
	statement := fmt.Sprintf(`SELECT %s, false AS ends FROM (%s) e WHERE true%s ORDER BY e.time DESC, e.event_id DESC LIMIT %d`,
		auditColumns, within, conditions, size+1)
	if conditions != "" { // by the same statement: what happens between two would move the end past events that nobody has looked at
		statement = fmt.Sprintf(`(%s) UNION ALL (SELECT %s, true FROM (%s) e OFFSET %d LIMIT 1)`, statement, auditColumns, within, limit-1)
	}
	var found []struct {
		AuditEvent
		Ends bool
	}
	q.Read(statement, args, postgres.All(&found))
	if err := q.Fetch(ctx); err != nil {
		return nil, nil, err
	}
	for _, one := range found {
		if one.Ends {
			next = &AuditCursor{Time: one.Time, ID: one.ID}
		} else {
			page = append(page, one.AuditEvent)
		}
	}
	if len(page) > size {
		page = page[:size]
		next = &AuditCursor{Time: page[size-1].Time, ID: page[size-1].ID}
	}
	return page, next, nil
}

// source returns the rows that an index finds, in order, with a place for their limit, and what is left of the filter.
func (f AuditFilter) source(args *arguments, after AuditCursor) (rows string, left AuditFilter) {
	between := func(table string) (sql string) {
		if !f.Start.IsZero() {
			sql += " AND " + table + ".time >= " + args.add(f.Start)
		}
		if !f.End.IsZero() {
			sql += " AND " + table + ".time < " + args.add(f.End)
		}
		if !after.ID.IsZero() {
			sql += fmt.Sprintf(" AND (%[1]s.time, %[1]s.event_id) < (%[2]s, %[3]s)", table, args.add(after.Time), args.add(after.ID))
		}
		return sql
	}
	left = f
	switch {
	case f.Target != "":
		left.Target = ""
		return `SELECT a.* FROM audit_targets t JOIN audit_events a USING (organization_id, time, event_id)
			WHERE t.organization_id = $1 AND t.target = ` + args.add(f.Target) + between("t") + ` ORDER BY t.time DESC, t.event_id DESC LIMIT %d`, left
	case f.Actor != "":
		left.Actor = ""
		return `SELECT a.* FROM audit_events a
			WHERE a.organization_id = $1 AND a.actor_id = ` + args.add(f.Actor) + between("a") + ` ORDER BY a.time DESC, a.event_id DESC LIMIT %d`, left
	case len(f.Types) > 0 && f.Query == "":
		left.Types = nil
		return `SELECT a.* FROM unnest(` + args.add(f.Types) + `::text[]) AS t (type) CROSS JOIN LATERAL (
				SELECT * FROM audit_events a
				WHERE a.organization_id = $1 AND a.type = t.type` + between("a") + ` ORDER BY a.time DESC, a.event_id DESC LIMIT %[1]d
			) a ORDER BY a.time DESC, a.event_id DESC LIMIT %[1]d`, left
	}
	return `SELECT a.* FROM audit_events a WHERE a.organization_id = $1` + between("a") + ` ORDER BY a.time DESC, a.event_id DESC LIMIT %d`, left
}

// conditions are those that no index finds.
func (f AuditFilter) conditions(args *arguments) (sql string) {
	if f.Actor != "" {
		sql += " AND e.actor_id = " + args.add(f.Actor)
	}
	if len(f.Types) > 0 {
		sql += " AND e.type = ANY (" + args.add(f.Types) + ")"
	}
	word := fold(f.Query)
	if word == "" {
		return sql
	}
	pattern := args.add("%" + like.Replace(word) + "%")
	columns := []string{"e.type", "e.actor_id", "array_to_string(e.targets, ' ')", "e.request_id", "e.trace_id", "e.personal ->> 'words'"}
	if f.Contacts {
		columns = append(columns, "e.personal ->> 'contact'")
	}
	return sql + " AND (" + strings.Join(columns, " LIKE "+pattern+" OR ") + " LIKE " + pattern + ")"
}

// ListNames returns the names of those who are on the list of people, by account or invitation, and of roles, groups and projects.
func (q Queries) ListNames(ctx context.Context, key id.Organization, things []id.Any) (map[id.Any]string, error) {
	names := make(map[id.Any]string, len(things))
	q.Read(`
		SELECT person_id, coalesce(nullif(overlay_display_name, ''), display_name) FROM people WHERE organization_id = $1 AND person_id = ANY ($2)
		UNION ALL SELECT id, $3 FROM erased WHERE id = ANY ($2)
		UNION ALL SELECT role_id, display_name FROM roles WHERE organization_id = $1 AND role_id = ANY ($2)
		UNION ALL SELECT group_id, display_name FROM groups WHERE organization_id = $1 AND group_id = ANY ($2)
		UNION ALL SELECT project_id, display_name FROM projects WHERE organization_id = $1 AND project_id = ANY ($2)
		UNION ALL SELECT service_account_id, display_name FROM service_accounts WHERE organization_id = $1 AND service_account_id = ANY ($2)`, []any{key, things, DeletedName},
		func(rows pgx.Rows) error {
			var person id.Any
			var name string
			_, err := pgx.ForEachRow(rows, []any{&person, &name}, func() error {
				names[person] = name
				return nil
			})
			return err
		})
	return names, q.Fetch(ctx)
}
