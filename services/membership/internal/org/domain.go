package org

import (
	"crypto/rand"
	_ "embed"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
)

// DomainState is the state of a domain.
type DomainState string

// States of a domain.
const (
	DomainPending   DomainState = "PENDING"
	DomainVerified  DomainState = "VERIFIED"  // one organization's at a time
	DomainSuspended DomainState = "SUSPENDED" // the proof has vanished
)

// MaxDomains is how many an organization has at most.
const MaxDomains = 20

// How often the proof of a domain is looked for, and how long it may be missing. The DNS of most people is away now and then.
const (
	checkEvery   = 12 * time.Hour
	missingEvery = time.Hour
	missingGrace = 72 * time.Hour
)

// Refusals about domains.
var (
	ErrNoDomain    = fault.New(errorv1.Reason_REASON_DOMAIN_NOT_FOUND, "There is no such domain in this organization.")
	ErrDomainTaken = fault.New(errorv1.Reason_REASON_DOMAIN_TAKEN, "Another organization has verified this domain. Who owns it can have it removed there.")
)

// Domain is a mail domain that an organization says is its own.
type Domain struct {
	ID          id.Domain `db:"domain_id"`
	Name        string    // lower-case A-labels
	State       DomainState
	Challenge   string // public
	CreateTime  time.Time
	VerifyTime  *time.Time // since when it is, or was, verified without a break
	CheckTime   *time.Time
	MissingTime *time.Time // since when the proof is missing
}

// NewDomain returns a domain that is to be proven.
func NewDomain(name string, at time.Time) Domain {
	return Domain{ID: id.NewDomain(), Name: name, State: DomainPending, Challenge: strings.ToLower(rand.Text()), CreateTime: at} // 128 bits
}

// RecordName is where the proof is in the DNS.
func (d Domain) RecordName() string { return recordPrefix + d.Name }

const recordPrefix = "_roster-challenge."

// RecordValue is the proof, the text of a TXT record.
func (d Domain) RecordValue() string { return "roster-domain-verification=" + d.Challenge }

// Unproven is the refusal while the proof is not there.
func (d Domain) Unproven() error {
	return fault.Newf(errorv1.Reason_REASON_DOMAIN_UNPROVEN,
		"The DNS has no TXT record %s with the value %s yet. What was just written there may take some time to be seen.", d.RecordName(), d.RecordValue()).
		With("record", d.RecordName()).With("value", d.RecordValue())
}

// Prove notes that the proof was found, and tells whether that is news.
func (d *Domain) Prove(at time.Time) (news bool) {
	d.CheckTime, d.MissingTime = &at, nil
	if d.State == DomainVerified {
		return false
	}
	d.State, d.VerifyTime = DomainVerified, &at
	return true
}

// Miss notes that the proof of a domain that was verified is not there, and tells whether that ends it now.
func (d *Domain) Miss(at time.Time) (news bool) {
	d.CheckTime = &at
	if d.MissingTime == nil {
		d.MissingTime = &at
	}
	if d.State != DomainVerified || at.Sub(*d.MissingTime) < missingGrace {
		return false
	}
	d.State = DomainSuspended
	return true
}

// NextCheck is when the proof is looked for again.
func (d Domain) NextCheck(at time.Time) time.Time {
	if d.State == DomainVerified && d.MissingTime != nil {
		return at.Add(missingEvery)
	}
	return at.Add(checkEvery)
}

// Providers are domains whose addresses anybody gets. Nobody owns them for us.
type Providers map[string]bool

//go:embed providers.txt
var knownProviders string

// NewProviders returns the well-known ones, and those that the operator adds.
func NewProviders(more []string) Providers {
	all := make(Providers)
	for line := range strings.Lines(knownProviders) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all[line] = true
		}
	}
	for _, domain := range more {
		if name, ok := email.ParseDomain(strings.TrimSpace(domain)); ok {
			all[name] = true
		}
	}
	return all
}

// has tells whether a domain, or one that it is part of, is a provider's.
func (p Providers) has(name string) bool {
	for more := true; more; _, name, more = strings.Cut(name, ".") {
		if p[name] {
			return true
		}
	}
	return false
}

// ParseDomain reads the name of a domain.
func ParseDomain(text string) (string, error) {
	name, ok := email.ParseDomain(text)
	if !ok || len(recordPrefix+name) > 253 {
		return "", fault.Invalid("domain", "must be a domain, such as example.com")
	}
	return name, nil
}

// Ownable refuses domains that nobody can own: those that others register theirs under, and those of mail providers.
func (p Providers) Ownable(name string) error {
	var why string
	suffix, _ := publicsuffix.PublicSuffix(name)
	switch {
	case suffix == name:
		why = "is a public suffix: others register domains under it"
	case p.has(name):
		why = "belongs to a provider that gives addresses to anybody"
	default:
		return nil
	}
	return fault.New(errorv1.Reason_REASON_DOMAIN_REFUSED, name+" "+why+". Name a domain whose addresses only your people have.").With("domain", name)
}

// AddDomain returns the new domain of an organization that has these.
func AddDomain(name string, have []Domain, at time.Time) (Domain, error) {
	for _, d := range have {
		if d.Name == name {
			return d, fault.New(errorv1.Reason_REASON_NAME_TAKEN, "The organization has this domain already.").With("domain", name)
		}
	}
	if len(have) >= MaxDomains {
		return Domain{}, fault.Newf(errorv1.Reason_REASON_LIMIT_REACHED, "An organization has at most %d domains. Remove one first.", MaxDomains).
			With("limit", strconv.Itoa(MaxDomains))
	}
	return NewDomain(name, at), nil
}

// harmless is the most that somebody gets without anybody deciding about them: what a built-in member holds, and nothing by
// which they could widen anybody's power.
var harmless = setOf(func(p Permission) bool { return p.holders&byMember != 0 && !p.Dangerous && !p.Reserved })

// JoinRole returns the role that people get who join through a domain. It refuses where nobody does.
func (o Organization) JoinRole() (Role, error) {
	if !o.Policy.AutoJoin {
		return Role{}, SwitchedOff("auto_join")
	}
	return o.joinRole()
}

// joinRole returns the role of whoever joins by themselves: the policy's, and no more than a member's.
func (o Organization) joinRole() (Role, error) {
	role, err := o.Roles.Givable(o.Policy.DefaultJoinRole)
	if err != nil {
		return Role{}, err
	}
	if beyond := o.Registry.harmful(role.Permissions); len(beyond) > 0 {
		return Role{}, roleFault(role.Key, "Who joins by themselves gets no more than a member may: this role also allows "+strings.Join(beyond, ", ")+".").
			With("missing", strings.Join(beyond, ","))
	}
	return role, nil
}
