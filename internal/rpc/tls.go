package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// TLS names PEM files. They are read again when they change, so that certificates can be renewed under a running server.
type TLS struct {
	Cert, Key string // the server's certificate and its key; both or none
	ClientCA  string // if given, only clients with a certificate by one of these are let in
}

// config is for a listener; it fails when the files are no good now.
func (t TLS) config(log *zap.Logger) (*tls.Config, error) {
	r := &reloader{files: t, log: log}
	if _, err := r.current(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, GetConfigForClient: r.current}, nil
}

// reloader keeps what the files said when they last were good.
type reloader struct {
	files TLS
	log   *zap.Logger

	mu     sync.Mutex
	read   [3]stamp
	config *tls.Config
}

// stamp tells versions of a file apart. A renewed certificate may have the old one's size.
type stamp struct {
	modified time.Time
	size     int64
}

// current is the configuration for the next connection. Files that change to something that is no good, such as a certificate
// whose key is not there yet, leave the last good one in force.
func (r *reloader) current(*tls.ClientHelloInfo) (*tls.Config, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, err := r.files.stamps()
	if err == nil && r.config != nil && now == r.read {
		return r.config, nil
	}
	var config *tls.Config
	if err == nil {
		config, err = r.files.load()
	}
	switch {
	case err == nil:
		r.config, r.read = config, now
	case r.config == nil:
		return nil, err
	default:
		r.log.Error("TLS files have changed and can't be used; those read before hold", zap.Error(err))
	}
	return r.config, nil
}

func (t TLS) stamps() (out [3]stamp, err error) {
	for i, file := range []string{t.Cert, t.Key, t.ClientCA} {
		if file == "" {
			continue
		}
		info, err := os.Stat(file)
		if err != nil {
			return out, err
		}
		out[i] = stamp{info.ModTime(), info.Size()}
	}
	return out, nil
}

func (t TLS) load() (*tls.Config, error) {
	if t.Cert == "" || t.Key == "" {
		return nil, errors.New("a server needs a certificate and its key; give both files")
	}
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", t.Cert, t.Key, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{cert}}
	if t.ClientCA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(t.ClientCA)
	if err != nil {
		return nil, err
	}
	config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client CA %s: there is no certificate in it; give a PEM file", t.ClientCA)
	}
	return config, nil
}
