// Package egress makes requests to the outside for guests, and decides whom they may reach. It knows grants, addresses and
// HTTP; it knows nothing of jobs, records or when a request is made again. It is the only way by which a guest's bytes leave a
// TaskManager other than by a connector.
//
// A request is let through when the host of its URL is one that the operator names and one that is granted, and when the
// address that the name has at the moment of the connection is a public one, or granted itself. So a name that was granted
// cannot be made to lead to the machine or its network.
package egress

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/wasmill/wasmill/internal/config"
)

// Policy is whom requests may reach.
type Policy struct {
	grants []pattern
	allow  []string // as they were written
}

// pattern is some hosts and ports: a name, all names below one, or the addresses of a prefix.
type pattern struct {
	name    string // of all names: empty, and below
	below   bool
	prefix  netip.Prefix // valid: addresses, and no name
	port    uint16
	anyPort bool
}

// NewPolicy reads grants: HOST:PORT, where the port may be *, and the host is a name, *.NAME for all names below, * for all, an
// address (IPv6 in brackets), or a prefix of addresses as 10.0.0.0/8.
func NewPolicy(allow []string) (*Policy, error) {
	p := &Policy{allow: allow}
	for i, text := range allow {
		g, err := parse(text, true)
		if err != nil {
			return nil, fmt.Errorf("capabilities.http.allow[%d]: %w", i, err)
		}
		p.grants = append(p.grants, g)
	}
	return p, nil
}

func parse(text string, prefixes bool) (p pattern, err error) {
	host, port, ok := cutPort(text)
	if !ok || host == "" {
		return p, fmt.Errorf("%q (expected HOST:PORT; the port may be *)", text)
	}
	if p.anyPort = port == "*"; !p.anyPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return p, fmt.Errorf("%q: port %q (expected 1 to 65535, or *)", text, port)
		}
		p.port = uint16(n)
	}
	if p.prefix, ok = addresses(host); ok {
		if !prefixes && !p.prefix.IsSingleIP() {
			return p, fmt.Errorf("%q: a prefix of addresses (expected one host: only grants have these)", text)
		}
		return p, nil
	}
	name := strings.ToLower(host)
	if rest, below := strings.CutPrefix(name, "*."); below {
		p.below, name = true, rest
	} else if name == "*" {
		p.below, name = true, ""
	}
	p.name = strings.TrimSuffix(name, ".")
	if strings.ContainsAny(p.name, "*/:@ []") || p.name == "" && name != "" {
		return p, fmt.Errorf("%q: host %q (expected a name, *.NAME, an address, or [IPv6])", text, host)
	}
	return p, nil
}

// cutPort splits HOST:PORT; the host may be an address in brackets.
func cutPort(text string) (host, port string, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return "", "", false
	}
	host, port = text[:i], text[i+1:]
	if strings.HasPrefix(host, "[") != strings.HasSuffix(host, "]") && !strings.Contains(host, "]/") {
		return "", "", false
	}
	return host, port, port != ""
}

// addresses reads an address or prefix.
func addresses(host string) (netip.Prefix, bool) {
	bare := strings.NewReplacer("[", "", "]", "").Replace(host)
	if a, err := netip.ParseAddr(bare); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	if p, err := netip.ParsePrefix(bare); err == nil {
		return p.Masked(), true
	}
	return netip.Prefix{}, false
}

// DeniedError is a host that an operator names and nobody has granted.
type DeniedError struct {
	Host    string
	Granted []string
}

func (e *DeniedError) Error() string {
	granted := "nothing is"
	if len(e.Granted) > 0 {
		granted = strings.Join(e.Granted, ", ")
	}
	return fmt.Sprintf("it asks %s, which is not granted (granted: %s)", e.Host, granted)
}

// Hint says what would grant it.
func (e *DeniedError) Hint() string {
	hint := fmt.Sprintf("add %q to capabilities.http.allow of the JobManager and every TaskManager", e.Host)
	if near := config.Nearest(e.Host, e.Granted); near != "" {
		hint += fmt.Sprintf("; the nearest grant is %q", near)
	}
	return hint
}

// Check says why an operator may not ask these hosts: a *DeniedError for one that is not granted.
func (p *Policy) Check(hosts []string) error {
	for i, text := range hosts {
		asked, err := parse(text, false)
		if err != nil {
			return fmt.Errorf("hosts[%d]: %w", i, err)
		}
		granted := false
		for _, g := range p.grants {
			granted = granted || g.covers(&asked)
		}
		if !granted {
			return &DeniedError{Host: text, Granted: p.allow}
		}
	}
	return nil
}

// covers says whether all that q is of is of p, too.
func (p *pattern) covers(q *pattern) bool {
	switch {
	case !p.anyPort && (q.anyPort || p.port != q.port):
		return false
	case p.prefix.IsValid() || q.prefix.IsValid():
		return p.prefix.IsValid() && q.prefix.IsValid() && p.prefix.Bits() <= q.prefix.Bits() && p.prefix.Contains(q.prefix.Addr())
	case p.below:
		return p.name == "" || strings.HasSuffix(q.name, "."+p.name) || q.below && q.name == p.name
	}
	return !q.below && p.name == q.name
}

// refusal is why a request is not made, or its answer not taken.
type refusal struct{ problem string }

func (r *refusal) Error() string { return r.problem }

// admit says why a URL may not be asked for by an operator that names hosts.
func (p *Policy) admit(u *url.URL, hosts []string) error {
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	if port == "" {
		return &refusal{fmt.Sprintf("scheme %q (expected http or https)", u.Scheme)}
	}
	if given := u.Port(); given != "" {
		port = given
	}
	at := net.JoinHostPort(u.Hostname(), port)
	asked, err := parse(at, false)
	if err != nil || asked.below || asked.anyPort {
		return &refusal{fmt.Sprintf("host %q (expected a name or an address)", u.Host)}
	}
	named := false
	for _, h := range hosts {
		one, err := parse(h, false)
		named = named || err == nil && one.covers(&asked)
	}
	if !named {
		return &refusal{fmt.Sprintf("%s is none of the hosts that the operator names: %s", at, strings.Join(hosts, ", "))}
	}
	if err := p.Check([]string{at}); err != nil {
		return &refusal{err.Error()}
	}
	return nil
}

// reserved are addresses that are no single host of the public Internet, beside those that netip tells by itself.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("168.63.129.16/32"), // a cloud's own services, on every machine of it
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("2002::/16"), // these three lead to IPv4 addresses
}

// connect says why a connection may not be made to an address, whatever name has led there.
func (p *Policy) connect(to netip.AddrPort) error {
	a := to.Addr().Unmap().WithZone("")
	asked := pattern{prefix: netip.PrefixFrom(a, a.BitLen()), port: to.Port()}
	for _, g := range p.grants {
		if g.prefix.IsValid() && g.covers(&asked) {
			return nil
		}
	}
	public := a.IsGlobalUnicast() && !a.IsPrivate()
	for _, r := range reserved {
		public = public && !r.Contains(a)
	}
	if !public {
		return &refusal{fmt.Sprintf("the host is at %s, which is no public address and not granted itself", to)}
	}
	return nil
}
