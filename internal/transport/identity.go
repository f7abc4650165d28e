package transport

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Identity is what a process shows to the others of its cluster, and how it judges what they show.
type Identity struct {
	Name    string    // for people: the certificate's common name
	Expires time.Time // nobody talks to it afterwards

	cert tls.Certificate
	ca   *x509.Certificate
}

func newIdentity(cert tls.Certificate, ca *x509.Certificate) *Identity {
	return &Identity{Name: cert.Leaf.Subject.CommonName, Expires: cert.Leaf.NotAfter, cert: cert, ca: ca}
}

// LoadIdentity reads ca.crt, node.crt and node.key from dir and checks that they belong together and are valid now, so
// that what is wrong is said when a process starts and not by its peers. Every error is an *Error that names the file.
func LoadIdentity(dir string) (*Identity, error) {
	ca, err := readCertificate(dir, caCertFile)
	if err != nil {
		return nil, err
	}
	pair, err := loadPair(dir, nodeCertFile, nodeKeyFile)
	if err != nil {
		return nil, err
	}
	id := newIdentity(pair, ca)
	if err := id.check(time.Now()); err != nil {
		return nil, &Error{
			Problem: fmt.Sprintf("load the identity in %s: %s", dir, err),
			Hint:    "issue a new one from the cluster's CA: wasmill cluster init --help",
			Err:     err,
		}
	}
	return id, nil
}

func (id *Identity) check(now time.Time) error {
	for _, c := range []struct {
		file string
		cert *x509.Certificate
	}{{caCertFile, id.ca}, {nodeCertFile, id.cert.Leaf}} {
		if now.After(c.cert.NotAfter) {
			return fmt.Errorf("%s expired on %s", c.file, c.cert.NotAfter.Format(time.DateOnly))
		}
		if now.Before(c.cert.NotBefore) {
			return fmt.Errorf("%s is valid only from %s on (is the clock right?)", c.file, c.cert.NotBefore.Format(time.RFC3339))
		}
	}
	_, err := id.cert.Leaf.Verify(x509.VerifyOptions{
		DNSName:     clusterName,
		Roots:       id.pool(),
		CurrentTime: now,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	var stranger x509.UnknownAuthorityError
	if errors.As(err, &stranger) {
		return fmt.Errorf("%s was issued by another CA than %s", nodeCertFile, caCertFile)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", nodeCertFile, err)
	}
	return nil
}

// ServerTLS is for a listener that lets in who has a certificate of the same CA. The protocols are ALPN names.
func (id *Identity) ServerTLS(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{id.cert},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              id.pool(),
		NextProtos:             protocols,
		SessionTicketsDisabled: true, // a resumed session would outlive its certificate
	}
}

// ClientTLS is for dialling whoever has a certificate of the same CA.
func (id *Identity) ClientTLS(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// By Certificates the client would keep a certificate of another CA to itself, and its user would read that there
		// was none.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &id.cert, nil },
		RootCAs:              id.pool(),
		ServerName:           clusterName,
		NextProtos:           protocols,
	}
}

func (id *Identity) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(id.ca)
	return pool
}

// resetKey is the same for every process started with this identity: a peer that still talks to the process before is
// told at once that it is gone.
func (id *Identity) resetKey() ([32]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(id.cert.PrivateKey)
	if err != nil {
		return [32]byte{}, fmt.Errorf("encode the key of %s: %w", id.Name, err)
	}
	mac := hmac.New(sha256.New, der)
	mac.Write([]byte("wasmill stateless reset"))
	return [32]byte(mac.Sum(nil)), nil
}

func readCertificate(dir, name string) (*x509.Certificate, error) {
	text, err := readFile(dir, name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, &Error{Problem: fmt.Sprintf("read %s: no certificate in PEM form", filepath.Join(dir, name))}
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, &Error{Problem: fmt.Sprintf("read %s: %s", filepath.Join(dir, name), err), Err: err}
	}
	return cert, nil
}

func loadPair(dir, certFile, keyFile string) (tls.Certificate, error) {
	cert, err := readFile(dir, certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readFile(dir, keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, &Error{
			Problem: fmt.Sprintf("load %s and %s in %s: %s", certFile, keyFile, dir, err),
			Hint:    "both must come from the same directory of wasmill cluster init",
			Err:     err,
		}
	}
	return pair, nil
}

func readFile(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{
			Problem: fmt.Sprintf("%s is missing", path),
			Hint:    "make it by wasmill cluster init, or copy it from where that was run",
			Err:     err,
		}
	}
	if err != nil {
		return nil, &Error{Problem: "read a certificate or key: " + err.Error(), Err: err}
	}
	return text, nil
}
