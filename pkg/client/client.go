// Package client is how Go programs call Roster. Dial once and share the Client; its fields are the generated
// clients of the services. A call that was refused fails with a *fault.Fault, so programs switch on its reason:
//
//	roster, err := client.Dial(client.Config{Address: "roster.example.com:9090", Token: key})
//	...
//	_, err = roster.Members.DisableMember(ctx, &membershipv1.DisableMemberRequest{...})
//	var refused *fault.Fault
//	if errors.As(err, &refused) && refused.Reason == errorv1.Reason_REASON_OWNER_PROTECTED {
//
// Nothing is called twice: what may be repeated with the same request_id, the program knows.
package client

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/local"
	"google.golang.org/grpc/keepalive"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// DefaultAddress is where `rosterd dev` serves gRPC.
const DefaultAddress = "localhost:9090"

// Config says whom to call, and as whom. The zero value calls DefaultAddress as nobody.
type Config struct {
	// Address is the gRPC edge as host:port.
	Address string
	// Token is a session's token, or a key: a person's, a service account's, an operator's. Empty: the methods that anybody may call.
	Token string
	// TLS is how the connection is encrypted. Nil: with the system's roots, or not at all when Address is on this
	// machine. Without TLS nothing is ever sent to another machine, wherever the name of this one leads.
	TLS *tls.Config
	// UserAgent names the program; people see it in the list of their sessions.
	UserAgent string
}

// Client has one field per service. It is safe for concurrent use.
type Client struct {
	Accounts        identityv1.AccountServiceClient
	Sessions        identityv1.SessionServiceClient
	Passwords       identityv1.PasswordServiceClient
	Factors         identityv1.FactorServiceClient
	Keys            identityv1.ApiKeyServiceClient
	Emails          identityv1.EmailServiceClient
	Exports         identityv1.ExportServiceClient
	Avatars         identityv1.AvatarServiceClient
	Operators       identityv1.OperatorServiceClient
	Federation      identityv1.OperatorProviderServiceClient
	Identities      identityv1.FederatedIdentityServiceClient
	ServiceAccounts identityv1.ServiceAccountServiceClient // with an operator key
	Tokens          identityv1.TokenServiceClient          // with a key of a service account
	Organizations   membershipv1.OrganizationServiceClient
	Roles           membershipv1.RoleServiceClient
	Members         membershipv1.MemberServiceClient
	MemberSessions  membershipv1.MemberSessionServiceClient
	Bulk            membershipv1.BulkMemberServiceClient
	Groups          membershipv1.GroupServiceClient
	Availability    membershipv1.AvailabilityServiceClient
	Providers       membershipv1.AvailabilityProviderServiceClient // with a service account's key
	SSO             membershipv1.IdentityProviderServiceClient
	Projects        membershipv1.ProjectServiceClient
	Programs        membershipv1.OrganizationServiceAccountServiceClient // service accounts of an organization
	Ownership       membershipv1.OwnershipServiceClient
	Access          membershipv1.AccessServiceClient
	Permissions     membershipv1.PermissionServiceClient // with an operator key
	Domains         membershipv1.DomainServiceClient
	Audit           membershipv1.AuditServiceClient
	Invitations     invitationv1.InvitationServiceClient
	SeatUsage       billingv1.SeatUsageServiceClient
	SeatLimits      billingv1.SeatLimitServiceClient

	conn *grpc.ClientConn
}

// Dial checks the configuration. It does not wait for the connection: a server that is away is an error of
// the calls, and no reason to make a new Client.
func Dial(c Config) (*Client, error) { return dial(c) }

func dial(c Config, extra ...grpc.DialOption) (*Client, error) {
	address := cmp.Or(c.Address, DefaultAddress)
	host, port, err := net.SplitHostPort(address)
	if _, malformed := strconv.ParseUint(port, 10, 16); err != nil || malformed != nil {
		return nil, fmt.Errorf("address %q: must be host:port", address)
	}
	host = cmp.Or(host, "localhost")
	if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("token: must be one word, as it was shown")
	}
	// local lets the handshake fail when the other end is not on this machine.
	plain := c.TLS == nil && onThisMachine(host)
	transport := local.NewCredentials()
	if !plain {
		transport = credentials.NewTLS(c.TLS)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithUnaryInterceptor(translate(address)),
		grpc.WithUserAgent(c.UserAgent),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			// gRPC's own first pause, 1 s, is a long time for a server that is just being restarted.
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
		grpc.WithDisableServiceConfig(), // a TXT record must not say how we call
		grpc.WithDisableRetry(),
	}
	if c.Token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer{token: c.Token, secure: !plain}))
	}
	conn, err := grpc.NewClient("dns:///"+net.JoinHostPort(host, port), append(options, extra...)...)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", address, err)
	}
	return &Client{
		Accounts:        identityv1.NewAccountServiceClient(conn),
		Sessions:        identityv1.NewSessionServiceClient(conn),
		Passwords:       identityv1.NewPasswordServiceClient(conn),
		Factors:         identityv1.NewFactorServiceClient(conn),
		Keys:            identityv1.NewApiKeyServiceClient(conn),
		Emails:          identityv1.NewEmailServiceClient(conn),
		Exports:         identityv1.NewExportServiceClient(conn),
		Avatars:         identityv1.NewAvatarServiceClient(conn),
		Operators:       identityv1.NewOperatorServiceClient(conn),
		Federation:      identityv1.NewOperatorProviderServiceClient(conn),
		Identities:      identityv1.NewFederatedIdentityServiceClient(conn),
		ServiceAccounts: identityv1.NewServiceAccountServiceClient(conn),
		Tokens:          identityv1.NewTokenServiceClient(conn),
		Organizations:   membershipv1.NewOrganizationServiceClient(conn),
		Roles:           membershipv1.NewRoleServiceClient(conn),
		Members:         membershipv1.NewMemberServiceClient(conn),
		MemberSessions:  membershipv1.NewMemberSessionServiceClient(conn),
		Bulk:            membershipv1.NewBulkMemberServiceClient(conn),
		Groups:          membershipv1.NewGroupServiceClient(conn),
		Availability:    membershipv1.NewAvailabilityServiceClient(conn),
		Providers:       membershipv1.NewAvailabilityProviderServiceClient(conn),
		SSO:             membershipv1.NewIdentityProviderServiceClient(conn),
		Projects:        membershipv1.NewProjectServiceClient(conn),
		Programs:        membershipv1.NewOrganizationServiceAccountServiceClient(conn),
		Ownership:       membershipv1.NewOwnershipServiceClient(conn),
		Access:          membershipv1.NewAccessServiceClient(conn),
		Permissions:     membershipv1.NewPermissionServiceClient(conn),
		Domains:         membershipv1.NewDomainServiceClient(conn),
		Audit:           membershipv1.NewAuditServiceClient(conn),
		Invitations:     invitationv1.NewInvitationServiceClient(conn),
		SeatUsage:       billingv1.NewSeatUsageServiceClient(conn),
		SeatLimits:      billingv1.NewSeatLimitServiceClient(conn),
		conn:            conn,
	}, nil
}

// Close ends the connection and the calls that are under way.
func (c *Client) Close() error { return c.conn.Close() }

func onThisMachine(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host).IsLoopback()
}
