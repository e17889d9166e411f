package rpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

// authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return authority{t, cert, key}
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// issue makes a certificate for 127.0.0.1, good for servers and clients, and its key.
func (a authority) issue(serial int64) (cert, key []byte) {
	a.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "flyball"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	require.NoError(a.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(a.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

// replace writes a file aside and renames it, as a kubelet does with Secrets, under a time of its own.
func replace(t *testing.T, path string, content []byte, version int) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", content, 0o600))
	at := time.Now().Add(time.Duration(version) * time.Second)
	require.NoError(t, os.Chtimes(path+".new", at, at))
	require.NoError(t, os.Rename(path+".new", path))
}

// tryTLS asks the server once over a connection of its own, and gives the serial number of the certificate that it showed.
func tryTLS(w *world, config *tls.Config) (serial int64, err error) {
	config.VerifyConnection = func(s tls.ConnectionState) error {
		serial = s.PeerCertificates[0].SerialNumber.Int64()
		return nil
	}
	conn, err := grpc.NewClient(w.address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	require.NoError(w.t, err)
	defer conn.Close()
	_, err = decisionv1.NewDecisionServiceClient(conn).ListAutoscalers(context.Background(), &decisionv1.ListAutoscalersRequest{})
	return serial, err
}

func TestCertificatesAreCheckedBothWaysAndRenewedUnderway(t *testing.T) {
	ours, theirs, strangers := newAuthority(t, "ours"), newAuthority(t, "theirs"), newAuthority(t, "strangers")
	dir := t.TempDir()
	files := TLS{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), ClientCA: filepath.Join(dir, "ca.crt")}
	cert, key := ours.issue(101)
	replace(t, files.Cert, cert, 1)
	replace(t, files.Key, key, 1)
	replace(t, files.ClientCA, theirs.pem(), 1)
	w := newWorld(t, t.TempDir(), func(o *Options) { o.TLS = files }).serve()
	w.ready.Store(true)
	client := func(server, self authority) *tls.Config {
		cert, err := tls.X509KeyPair(self.issue(7))
		require.NoError(t, err)
		return &tls.Config{RootCAs: server.pool(), Certificates: []tls.Certificate{cert}}
	}
	serial, err := tryTLS(w, client(ours, theirs))
	require.NoError(t, err)
	require.EqualValues(t, 101, serial)
	for what, config := range map[string]*tls.Config{
		"a client of a wrong authority":      client(ours, strangers),
		"a client without a certificate":     {RootCAs: ours.pool()},
		"a client that trusts somebody else": client(strangers, theirs),
		"a client of an old version":         {RootCAs: ours.pool(), Certificates: client(ours, theirs).Certificates, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10},
	} {
		_, err := tryTLS(w, config)
		require.Equal(t, codes.Unavailable, status.Code(err), what)
	}

	cert, key = ours.issue(102)
	replace(t, files.Cert, cert, 2)
	serial, err = tryTLS(w, client(ours, theirs))
	require.NoError(t, err, "a certificate whose key is not there yet is not used")
	require.EqualValues(t, 101, serial)
	replace(t, files.Key, key, 2)
	serial, err = tryTLS(w, client(ours, theirs))
	require.NoError(t, err)
	require.EqualValues(t, 102, serial)
	replace(t, files.ClientCA, strangers.pem(), 2)
	_, err = tryTLS(w, client(ours, strangers))
	require.NoError(t, err)
	_, err = tryTLS(w, client(ours, theirs))
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.NoError(t, os.Remove(files.Key))
	_, err = tryTLS(w, client(ours, strangers))
	require.NoError(t, err, "what was read holds")
}

func TestTLSFilesThatAreNoGoodAreSaidAtTheStart(t *testing.T) {
	dir := t.TempDir()
	cert, key := newAuthority(t, "ours").issue(1)
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	good := TLS{Cert: file("crt", cert), Key: file("key", key)}
	_, err := good.config(zap.NewNop())
	require.NoError(t, err)
	_, other := newAuthority(t, "ours").issue(1)
	for want, files := range map[string]TLS{
		"no such file":                  {Cert: filepath.Join(dir, "absent"), Key: good.Key},
		"private key does not match":    {Cert: good.Cert, Key: file("other", other)},
		"a server needs a certificate":  {ClientCA: good.Cert},
		"there is no certificate in it": {Cert: good.Cert, Key: good.Key, ClientCA: good.Key},
		"failed to find any PEM data":   {Cert: file("empty", nil), Key: good.Key},
	} {
		_, err := New(Options{TLS: files, Log: zap.NewNop()})
		require.ErrorContains(t, err, want)
	}
}
