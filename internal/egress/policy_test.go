package egress

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func policyOf(t *testing.T, allow ...string) *Policy {
	t.Helper()
	p, err := NewPolicy(allow)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGrants(t *testing.T) {
	p := policyOf(t, "api.example.com:443", "*.example.org:*", "10.0.0.0/8:80", "[fd00::1]:*", "127.0.0.1:8080")
	for host, granted := range map[string]bool{
		"api.example.com:443":    true,
		"API.Example.COM.:443":   true,
		"api.example.com:80":     false,
		"api.example.com:*":      false,
		"v1.api.example.com:443": false,
		"www.example.org:1":      true,
		"a.b.example.org:*":      true,
		"*.example.org:*":        true,
		"*.b.example.org:443":    true,
		"example.org:443":        false,
		"badexample.org:443":     false,
		"*:443":                  false,
		"10.1.2.3:80":            true,
		"[::ffff:10.1.2.3]:80":   true,
		"10.1.2.3:81":            false,
		"[fd00::1]:9":            true,
		"[fd00::2]:9":            false,
		"127.0.0.1:8080":         true,
		"localhost:8080":         false,
	} {
		err := p.Check([]string{host})
		var denied *DeniedError
		if granted && err != nil || !granted && !errors.As(err, &denied) {
			t.Errorf("%s: %v (expected granted: %v)", host, err, granted)
		}
	}
	everything := policyOf(t, "*:*")
	if err := everything.Check([]string{"any.host:1", "*:*"}); err != nil {
		t.Error(err)
	}
	if everything.Check([]string{"127.0.0.1:1"}) == nil {
		t.Error("a grant of all names grants an address")
	}
}

func TestBadGrantsAndHosts(t *testing.T) {
	for _, text := range []string{"", "api.example.com", "api.example.com:", ":443", "api.example.com:0", "api.example.com:65536", "api.example.com:http", "https://api.example.com:443", "a*.example.com:443", "*.*.com:1", "10.0.0.0/33:1", "[::1:80", "user@host:1"} {
		if _, err := NewPolicy([]string{text}); err == nil || !strings.Contains(err.Error(), "capabilities.http.allow[0]") {
			t.Errorf("grant %q: %v", text, err)
		}
	}
	if err := policyOf(t, "*:*").Check([]string{"api.example.com:443", "10.0.0.0/8:443"}); err == nil || !strings.Contains(err.Error(), "hosts[1]") {
		t.Errorf("an operator that names a prefix: %v", err)
	}
}

func TestHintsNameTheGrant(t *testing.T) {
	err := policyOf(t, "api.example.com:444").Check([]string{"api.example.com:443"})
	var denied *DeniedError
	if !errors.As(err, &denied) || !strings.Contains(denied.Hint(), `add "api.example.com:443" to capabilities.http.allow`) || !strings.Contains(denied.Hint(), `nearest grant is "api.example.com:444"`) {
		t.Errorf("%v", err)
	}
}

// Whatever name has led there: addresses that are not public are reached when they are granted themselves, only.
func TestAddresses(t *testing.T) {
	p := policyOf(t, "*:*", "127.0.0.1:8080", "10.1.0.0/16:*")
	for to, reached := range map[string]bool{
		"93.184.216.34:443":        true,
		"[2606:2800:220:1::1]:443": true,
		"127.0.0.1:8080":           true,
		"[::ffff:127.0.0.1]:8080":  true,
		"127.0.0.1:8081":           false,
		"127.0.0.2:8080":           false,
		"[::1]:8080":               false,
		"10.1.2.3:1":               true,
		"10.2.2.3:1":               false,
		"192.168.1.1:80":           false,
		"172.16.0.1:80":            false,
		"169.254.169.254:80":       false,
		"[fe80::1]:80":             false,
		"[fd00:ec2::254]:80":       false,
		"100.100.100.200:80":       false,
		"168.63.129.16:80":         false,
		"0.0.0.0:80":               false,
		"0.1.2.3:80":               false,
		"[::]:80":                  false,
		"[::127.0.0.1]:80":         false,
		"[64:ff9b::7f00:1]:80":     false,
		"[2002:7f00:1::]:80":       false,
		"224.0.0.1:80":             false,
		"255.255.255.255:80":       false,
	} {
		if err := p.connect(netip.MustParseAddrPort(to)); (err == nil) != reached {
			t.Errorf("%s: %v (expected reached: %v)", to, err, reached)
		}
	}
}

func TestURLs(t *testing.T) {
	p := policyOf(t, "api.example.com:443", "api.example.com:80", "other.example.com:443", "[fd00::1]:8080")
	hosts := []string{"api.example.com:*", "[fd00::1]:8080"}
	for text, problem := range map[string]string{
		"https://api.example.com/x?y":       "",
		"http://api.example.com/":           "",
		"https://user:word@api.example.com": "",
		"http://[fd00::1]:8080/":            "",
		"https://api.example.com:444/":      "which is not granted",
		"https://other.example.com/":        "none of the hosts that the operator names",
		"https://*.example.com/":            "host",
		"ftp://api.example.com/":            "scheme",
		"file:///etc/passwd":                "scheme",
		"//api.example.com/":                "scheme",
		"https:///x":                        "host",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		err = p.admit(u, hosts)
		if problem == "" && err != nil || problem != "" && (err == nil || !strings.Contains(err.Error(), problem)) {
			t.Errorf("%s: %v (expected %q)", text, err, problem)
		}
	}
}
