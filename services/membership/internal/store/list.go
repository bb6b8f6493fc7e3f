package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// Order is what a list is sorted by. The zero Order is by name.
type Order string

// Orders of the list of people.
const (
	ByName         Order = ""
	ByJoinTime     Order = "JOIN_TIME"
	ByActivityTime Order = "ACTIVITY_TIME" // invitations come last
	ByRole         Order = "ROLE"          // and then by name
)

// Filter says which people are wanted, and in which order.
type Filter struct {
	Kind          string           // empty: both
	States        []string         // empty: all
	Roles         []string         // keys; empty: all
	Query         string           // part of a name, username or address; a single letter or two: the beginning of one
	Contacts      bool             // whoever asks may see addresses, so the query finds them too
	Show          org.Availability // members only: AVAILABLE, which whoever is on call is too, or UNAVAILABLE; empty: all people
	InactiveSince time.Time        // members only, whose last activity, or joining, was before this; zero: all people
	Groups        []id.Group       // members only, who are in any of these; empty: all people
	Project       id.Project       // members only, who belong to it directly; zero: all people

	People int // how many there are, about, whom the filter chooses from

	Order      Order
	Descending bool
	RoleOrder  []string // the keys of roles as ByRole lists them; others follow

	word      string // of the query, folded
	beginning string // of the name
}

// Cursor is where a page ends: what rows are sorted by, and the id that tells equal ones apart. An order may list parts of
// the people one after the other; by role, which parts there are changes with who has which.
type Cursor struct {
	Part int
	Role string // of the part
	Name string
	Time time.Time
	ID   id.Any
}

// What a list costs at most. Unless an index has what is wanted in the order of the list, every condition is looked up first:
// one that no more people than candidates meet, or somewhat more in a large organization, gives their ids. When all are more common
// than that, the list itself is read in order, window rows at a time, and a page may be short although more follow. Of a
// common beginning of one or two letters the names are listed, and not the addresses and usernames too.
const (
	candidates = 1000
	window     = 10000
)

var stateKinds = map[string]string{"ACTIVE": KindMember, "DISABLED": KindMember, "PENDING": KindInvitation}

// ListPeople returns a page and where the next one begins; nil at the end.
func (q Queries) ListPeople(ctx context.Context, key id.Organization, f Filter, after Cursor, size int) ([]Entry, *Cursor, error) {
	f.word = fold(f.Query)
	if f.Show != "" || !f.InactiveSince.IsZero() || len(f.Groups) > 0 || !f.Project.IsZero() {
		if f.Kind == KindInvitation {
			return nil, nil, nil
		}
		f.Kind = KindMember
	}
	if f.Kind != "" { // the kind follows from the state
		all := len(f.States) == 0
		f.States = slices.Clone(f.States)
		for state, kind := range stateKinds {
			if all && kind == f.Kind {
				f.States = append(f.States, state)
			}
		}
		f.States = slices.DeleteFunc(f.States, func(state string) bool { return stateKinds[state] != f.Kind })
		if len(f.States) == 0 {
			return nil, nil, nil
		}
	}
	if f.Show != "" { // the state follows from the availability
		if !slices.Contains(f.States, string(org.MemberActive)) {
			return nil, nil, nil
		}
		f.States = nil
	}
	parts, err := q.parts(ctx, key, f)
	if err != nil {
		return nil, nil, err
	}
	var page []Entry
	first := after.Part
	if f.Order == ByRole && after.Role != "" {
		first, after = f.resume(parts, after)
	}
	for i := first; i < len(parts); i++ {
		more, next, err := q.list(ctx, key, parts[i], after, size-len(page))
		page = append(page, more...)
		switch {
		case err != nil:
			return nil, nil, err
		case next != nil:
			next.Part, next.Role = i, parts[i].role()
			return page, next, nil
		case len(page) == size && i+1 < len(parts):
			return page, &Cursor{Part: i + 1, Role: parts[i+1].role()}, nil
		}
		after = Cursor{}
	}
	return page, nil, nil
}

// role is the role that a part by role is about.
func (f Filter) role() string {
	if f.Order == ByName && len(f.Roles) == 1 {
		return f.Roles[0]
	}
	return ""
}

// resume finds the part that a page goes on with. When nobody has its role any more, that is the next one, as far as the role's place
// is known still.
func (f Filter) resume(parts []Filter, after Cursor) (first int, from Cursor) {
	if i := slices.IndexFunc(parts, func(part Filter) bool { return part.role() == after.Role }); i >= 0 {
		return i, after
	}
	if !slices.Contains(f.RoleOrder, after.Role) {
		return after.Part, Cursor{}
	}
	for first < len(parts) && f.inOrder(parts[first].role(), after.Role) < 0 {
		first++
	}
	return first, Cursor{}
}

// inOrder compares two roles as ByRole lists them.
func (f Filter) inOrder(one, two string) int {
	rank := func(role string) int {
		if i := slices.Index(f.RoleOrder, role); i >= 0 {
			return i
		}
		return len(f.RoleOrder)
	}
	if f.Descending {
		one, two = two, one
	}
	return rank(one) - rank(two)
}

// parts divides the list into those that one index each has in order.
func (q Queries) parts(ctx context.Context, key id.Organization, f Filter) (parts []Filter, err error) {
	switch f.Order {
	case ByActivityTime:
		for _, kind := range []string{KindMember, KindInvitation} {
			if f.Kind != "" && kind != f.Kind {
				continue
			}
			part := f
			part.Kind = kind
			part.States = slices.DeleteFunc(slices.Clone(f.States), func(state string) bool { return stateKinds[state] != kind })
			if len(f.States) == 0 || len(part.States) > 0 {
				parts = append(parts, part)
			}
		}
		return parts, nil
	case ByRole:
		roles := f.Roles
		if len(roles) == 0 {
			q.Read(heldRoles+` SELECT role FROM held WHERE role IS NOT NULL ORDER BY role`, []any{key}, func(rows pgx.Rows) (err error) {
				roles, err = pgx.CollectRows(rows, pgx.RowTo[string])
				return err
			})
			if err := q.Fetch(ctx); err != nil {
				return nil, err
			}
		}
		roles = slices.Clone(roles)
		slices.SortStableFunc(roles, f.inOrder)
		for _, role := range slices.Compact(roles) {
			part := f
			part.Roles, part.Order, part.Descending = []string{role}, ByName, false
			parts = append(parts, part)
		}
		return parts, nil
	}
	return []Filter{f}, nil
}

// heldRoles finds the roles that people of the organization hold, each by one look at the index.
const heldRoles = `
	WITH RECURSIVE held AS (
		SELECT (SELECT min(role) FROM people WHERE organization_id = $1) AS role
		UNION ALL
		SELECT (SELECT min(p.role) FROM people p WHERE p.organization_id = $1 AND p.role > held.role) FROM held WHERE held.role IS NOT NULL
	)`

// list returns a page of what one index has in order.
func (q Queries) list(ctx context.Context, key id.Organization, f Filter, after Cursor, size int) ([]Entry, *Cursor, error) {
	if f.ordered() {
		return q.read(ctx, key, f, after, size)
	}
	limits := []int{candidates}
	if worth := f.worth(size); worth > candidates {
		limits = append(limits, worth)
	}
	for _, most := range limits {
		for _, sieve := range f.sieves(most) {
			found, err := q.candidates(ctx, key, sieve, most)
			if err != nil {
				return nil, nil, err
			}
			if len(found) <= most {
				return q.page(ctx, key, f, found, after, size)
			}
		}
	}
	if f.Order == ByName && short(f.word) { // those whose names begin so stand together
		named := f
		named.word, named.beginning = "", f.word
		if page, next, err := q.read(ctx, key, named, after, size); err != nil || len(page) > 0 || next != nil {
			return page, next, err
		}
	}
	return q.read(ctx, key, f, after, size)
}

// read reads the list in its order.
func (q Queries) read(ctx context.Context, key id.Organization, f Filter, after Cursor, size int) ([]Entry, *Cursor, error) {
	if f.ordered() {
		return q.page(ctx, key, f, nil, after, size)
	}
	return q.scan(ctx, key, f, after, size)
}

// ordered tells whether an index has those who are wanted in the order of the list.
func (f Filter) ordered() bool {
	if f.word != "" || len(f.Groups) > 0 || !f.Project.IsZero() {
		return false
	}
	switch f.Order {
	case ByName:
		return f.InactiveSince.IsZero() && (f.Show == "" || !f.restricted())
	case ByActivityTime:
		return f.Show == "" && (!f.restricted() || f.wholeKind())
	}
	return f.InactiveSince.IsZero() && f.Show == "" && !f.restricted()
}

// sieve makes the statement, without its limit, that returns the ids of those who meet a condition.
type sieve func(args *arguments) string

// worth is how many people may meet a condition so that reading them all, in whichever order, costs less than reading the list until a page
// is full of them.
func (f Filter) worth(size int) int {
	return min(window, int(math.Sqrt(float64(size)*float64(f.People))))
}

// sieves are one for each condition, to look for so many people. What the one for the word reads may be more than what it finds, so it
// comes last, and looks only for few.
func (f Filter) sieves(most int) (sieves []sieve) {
	if len(f.Groups) > 0 {
		sieves = append(sieves, func(args *arguments) string {
			return `SELECT gm.account_id FROM group_members gm WHERE gm.organization_id = $1 AND gm.group_id = ANY (` + args.add(f.Groups) + `)`
		})
	}
	if !f.Project.IsZero() {
		sieves = append(sieves, func(args *arguments) string {
			return `SELECT pm.account_id FROM project_members pm WHERE pm.organization_id = $1 AND pm.project_id = ` + args.add(f.Project)
		})
	}
	if f.restricted() {
		sieves = append(sieves, func(args *arguments) string {
			return f.branches(args, "p.person_id", "", most+1)
		})
	}
	if f.Show != "" {
		sieves = append(sieves, func(*arguments) string {
			return `SELECT p.person_id FROM people p WHERE p.organization_id = $1` + f.shown()
		})
	}
	if !f.InactiveSince.IsZero() {
		sieves = append(sieves, func(args *arguments) string {
			return `SELECT p.person_id FROM people p WHERE p.organization_id = $1 AND p.kind = 'MEMBER' AND p.activity_time < ` + args.add(f.InactiveSince)
		})
	}
	if f.word != "" && most == candidates && (short(f.word) || utf8.RuneCountInString(f.word) >= 3) {
		sieves = append(sieves, func(args *arguments) string {
			return `SELECT s.person_id FROM people_search s WHERE s.organization_id = $1 AND ` + f.match(args)
		})
	}
	return sieves
}

// restricted tells whether roles or states are given.
func (f Filter) restricted() bool { return len(f.Roles) > 0 || len(f.States) > 0 }

// wholeKind tells whether all people of the kind that the order keeps apart are wanted.
func (f Filter) wholeKind() bool {
	if f.Order != ByActivityTime || len(f.Roles) > 0 {
		return false
	}
	for state, kind := range stateKinds {
		if kind == f.Kind && len(f.States) > 0 && !slices.Contains(f.States, state) {
			return false
		}
	}
	return true
}

// short tells whether a word is too short for trigrams. It matches beginnings only.
func short(word string) bool { return word != "" && utf8.RuneCountInString(word) < 3 && !dense(word) }

// dense tells whether a word is of a script in which one letter or two are a word, and names have no blanks. It is found anywhere: where it
// is too short for trigrams, by reading the list.
func dense(word string) bool {
	return strings.ContainsFunc(word, func(r rune) bool {
		return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
	})
}

// beyond is the first text after all those that begin with the word.
func beyond(word string) string { return word + string(utf8.MaxRune) }

const entryColumns = `p.person_id, p.kind, p.sort_name, p.activity_time AS sort_activity, p.role, p.state, p.join_time, p.expire_time,
	p.availability, p.next_change_time, ` + profileColumns

// words joins what the query is compared with, if there is one.
func (f Filter) words() string {
	if f.word == "" {
		return ""
	}
	return ` JOIN people_search s ON s.organization_id = p.organization_id AND s.person_id = p.person_id`
}

// page reads the list, or of it only those who are among some.
func (q Queries) page(ctx context.Context, key id.Organization, f Filter, among []id.Any, after Cursor, size int) (page []Entry, next *Cursor, err error) {
	args := arguments{key}
	var sql string
	switch {
	case among != nil:
		sql = `SELECT ` + entryColumns + ` FROM people p` + f.words() + ` WHERE p.organization_id = $1 AND p.person_id = ANY (` + args.add(among) + `)` +
			f.conditions(&args) + f.after(after, &args)
	case f.restricted() && f.Order == ByName:
		sql = `SELECT p.* FROM (` + f.branches(&args, entryColumns, f.after(after, &args)+` `+f.order(), size+1) + `) p`
	default:
		sql = `SELECT ` + entryColumns + ` FROM people p WHERE p.organization_id = $1` + f.conditions(&args) + f.after(after, &args)
	}
	q.Read(sql+` `+f.order()+` LIMIT `+args.add(size+1), args, postgres.All(&page))
	if err := q.Fetch(ctx); err != nil {
		return nil, nil, err
	}
	page, next = f.cut(page, size)
	return page, next, nil
}

// branches is a statement that reads so many rows of each pair of role and state; an index has each pair together, in the
// order of names. rest goes on with its condition.
func (f Filter) branches(args *arguments, columns, rest string, limit int) string {
	with, roles := heldRoles, `held`
	if len(f.Roles) > 0 {
		with, roles = ``, `(SELECT unnest(`+args.add(f.Roles)+`::text[]) AS role)`
	}
	states := f.States
	if len(states) == 0 {
		states = []string{"ACTIVE", "DISABLED", "PENDING"}
	}
	return with + fmt.Sprintf(` SELECT p.* FROM %s r, unnest(%s::text[]) AS state, LATERAL (
		SELECT %s FROM people p WHERE p.organization_id = $1 AND p.role = r.role AND p.state = state.state%s%s LIMIT %s) p`,
		roles, args.add(states), columns, f.names(args), rest, args.add(limit))
}

// candidates returns the ids of those who pass a sieve, one more than asked for if there are more.
func (q Queries) candidates(ctx context.Context, key id.Organization, s sieve, most int) (found []id.Any, err error) {
	args := arguments{key}
	found = []id.Any{} // and not nil, which would be everybody
	sql := s(&args)
	q.planAnew()
	q.Read(sql+` LIMIT `+args.add(most+1), args, func(rows pgx.Rows) (err error) {
		found, err = pgx.AppendRows(found, rows, pgx.RowTo[id.Any])
		return err
	})
	return found, q.Fetch(ctx)
}

// scan reads one window of the list, in order, and returns those in it who are wanted. Where the window ends is read by the same statement: somebody who leaves
// between two would move it past people whom nobody has looked at.
func (q Queries) scan(ctx context.Context, key id.Organization, f Filter, after Cursor, size int) (page []Entry, next *Cursor, err error) {
	args := arguments{key}
	rows := `FROM people p WHERE p.organization_id = $1`
	if f.Order == ByActivityTime {
		rows += ` AND p.kind = ` + args.add(f.Kind)
	}
	rows += f.names(&args) + f.after(after, &args) + ` ` + f.order()
	wanted := fmt.Sprintf(`SELECT %s FROM (SELECT p.* %s LIMIT %d) p%s WHERE true%s %s LIMIT %s`,
		entryColumns, rows, window, f.words(), f.conditions(&args), f.order(), args.add(size+1))
	end := fmt.Sprintf(`SELECT %s FROM people p WHERE p.organization_id = $1 AND p.person_id = (SELECT p.person_id %s OFFSET %d LIMIT 1)`,
		entryColumns, rows, window-1)
	var found []struct {
		Entry
		Ends bool
	}
	q.planAnew()
	q.Read(fmt.Sprintf(`SELECT p.*, false AS ends FROM (%s) p UNION ALL SELECT p.*, true FROM (%s) p`, wanted, end), args, postgres.All(&found))
	if err := q.Fetch(ctx); err != nil {
		return nil, nil, err
	}
	for _, one := range found {
		if one.Ends {
			next = f.cursor(one.Entry)
		} else {
			page = append(page, one.Entry)
		}
	}
	if cut, more := f.cut(page, size); more != nil {
		return cut, more, nil
	}
	return page, next, nil
}

// planAnew makes PostgreSQL look at the word itself when it plans: how to search depends on how common it is.
func (q Queries) planAnew() {
	q.Read(`SELECT set_config('plan_cache_mode', 'force_custom_plan', true)`, nil, nothing)
}

// cut makes a page of one row more than fits on it.
func (f Filter) cut(page []Entry, size int) ([]Entry, *Cursor) {
	if len(page) <= size {
		return page, nil
	}
	return page[:size], f.cursor(page[size-1])
}

func (f Filter) cursor(e Entry) *Cursor {
	switch f.Order {
	case ByJoinTime:
		return &Cursor{Time: e.JoinTime, ID: e.ID}
	case ByActivityTime:
		return &Cursor{Time: e.SortActivity, ID: e.ID}
	}
	return &Cursor{Name: e.SortName, ID: e.ID}
}

func (f Filter) column() string {
	switch f.Order {
	case ByJoinTime:
		return "join_time"
	case ByActivityTime:
		return "activity_time"
	}
	return "sort_name"
}

// order is that of the rows.
func (f Filter) order() string {
	direction := ""
	if f.Descending {
		direction = " DESC"
	}
	return "ORDER BY p." + f.column() + direction + ", p.person_id" + direction
}

// after keeps to the rows after the cursor.
func (f Filter) after(c Cursor, args *arguments) string {
	if c.ID.IsZero() {
		return ""
	}
	than, value := ">", any(c.Name)
	if f.Descending {
		than = "<"
	}
	if f.Order != ByName {
		value = c.Time
	}
	return fmt.Sprintf(" AND (p.%s, p.person_id) %s (%s, %s)", f.column(), than, args.add(value), args.add(c.ID))
}

// conditions are all those on people, p, and on people_search, s, if words are wanted.
func (f Filter) conditions(args *arguments) (sql string) {
	if f.Order == ByActivityTime {
		sql += " AND p.kind = " + args.add(f.Kind)
	}
	if len(f.States) > 0 {
		sql += " AND p.state = ANY (" + args.add(f.States) + ")"
	}
	if len(f.Roles) > 0 {
		sql += " AND p.role = ANY (" + args.add(f.Roles) + ")"
	}
	sql += f.shown()
	// OFFSET 0 keeps the planner from reading a whole group first: each of the few rows that are read is looked up.
	if len(f.Groups) > 0 {
		sql += ` AND EXISTS (SELECT FROM group_members gm
			WHERE gm.organization_id = $1 AND gm.account_id = p.person_id AND gm.group_id = ANY (` + args.add(f.Groups) + `) OFFSET 0)`
	}
	if !f.Project.IsZero() {
		sql += ` AND EXISTS (SELECT FROM project_members pm
			WHERE pm.organization_id = $1 AND pm.account_id = p.person_id AND pm.project_id = ` + args.add(f.Project) + ` OFFSET 0)`
	}
	if !f.InactiveSince.IsZero() {
		sql += " AND p.kind = 'MEMBER' AND p.activity_time < " + args.add(f.InactiveSince)
	}
	if f.word != "" {
		sql += " AND " + f.match(args)
	}
	return sql + f.names(args)
}

// shown is the condition on availability, in the words of the indexes.
func (f Filter) shown() string {
	switch f.Show {
	case org.Available:
		return " AND p.kind = 'MEMBER' AND p.state = 'ACTIVE' AND p.availability <> 'UNAVAILABLE'"
	case org.Unavailable:
		return " AND p.kind = 'MEMBER' AND p.state = 'ACTIVE' AND p.availability = 'UNAVAILABLE'"
	}
	return ""
}

// names keeps to those that begin as is wanted.
func (f Filter) names(args *arguments) string {
	if f.beginning == "" {
		return ""
	}
	return " AND p.sort_name >= " + args.add(f.beginning) + " AND p.sort_name < " + args.add(beyond(f.beginning))
}

// match is the condition on people_search, s.
func (f Filter) match(args *arguments) string {
	columns := []string{"s.name", "s.username"}
	if f.Contacts {
		columns = append(columns, "s.email")
	}
	arms := make([]string, len(columns))
	if short(f.word) {
		from, to := args.add(f.word), args.add(beyond(f.word))
		for i, column := range columns {
			arms[i] = fmt.Sprintf("%[1]s ~>=~ %[2]s AND %[1]s ~<~ %[3]s", column, from, to)
		}
	} else {
		pattern := args.add("%" + like.Replace(f.word) + "%")
		for i, column := range columns {
			arms[i] = column + " LIKE " + pattern
		}
	}
	return "(" + strings.Join(arms, " OR ") + ")"
}

// arguments of a statement, in order.
type arguments []any

// add returns the placeholder of one more.
func (a *arguments) add(value any) string {
	*a = append(*a, value)
	return fmt.Sprintf("$%d", len(*a))
}
