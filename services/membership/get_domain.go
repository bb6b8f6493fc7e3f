package membership

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// GetDomain returns one domain of the organization.
func (s *Service) GetDomain(ctx context.Context, req *membershipv1.GetDomainRequest) (*membershipv1.GetDomainResponse, error) {
	key, name, err := parseDomain(req)
	if err != nil {
		return nil, err
	}
	domain, err := s.getDomain(ctx, key, name, org.ReadDomains)
	if err != nil {
		return nil, err
	}
	return &membershipv1.GetDomainResponse{Domain: domainToProto(domain)}, nil
}

// getDomain returns a domain to who holds the permission.
func (s *Service) getDomain(ctx context.Context, key id.Organization, name, permission string) (d org.Domain, err error) {
	if _, _, err := s.admit(ctx, key, permission); err != nil {
		return d, err
	}
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		d, err = q.GetDomain(ctx, key, name)
		return err
	})
	return d, err
}

// parseDomain reads what names a domain.
func parseDomain(req interface {
	GetOrganizationId() string
	GetDomain() string
}) (key id.Organization, name string, err error) {
	if key, err = id.ParseOrganization(req.GetOrganizationId()); err != nil {
		return key, name, err
	}
	name, err = org.ParseDomain(req.GetDomain())
	return key, name, err
}

func domainToProto(d org.Domain) *membershipv1.Domain {
	return &membershipv1.Domain{
		Id:          d.ID.String(),
		Name:        d.Name,
		State:       membershipv1.Domain_State(membershipv1.Domain_State_value["STATE_"+string(d.State)]),
		RecordName:  d.RecordName(),
		RecordValue: d.RecordValue(),
		CreateTime:  timestamppb.New(d.CreateTime),
		VerifyTime:  stamp(d.VerifyTime),
		CheckTime:   stamp(d.CheckTime),
		MissingTime: stamp(d.MissingTime),
	}
}

func domainToEvent(d org.Domain) *eventv1.Domain {
	shown := &eventv1.Domain{
		DomainId: d.ID.String(),
		Name:     d.Name,
		State:    eventv1.Domain_State(eventv1.Domain_State_value["STATE_"+string(d.State)]),
	}
	if d.VerifyTime != nil {
		shown.VerifyTime = timestamppb.New(*d.VerifyTime)
	}
	return shown
}
