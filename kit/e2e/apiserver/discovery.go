package main

import (
	"encoding/json"
	"net/http"

	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapiserver "k8s.io/apiserver/pkg/server"
)

// serveDiscovery lists the groups of the server, which in a cluster the aggregator does.
func serveDiscovery(server *genericapiserver.GenericAPIServer) error {
	client, err := clientset.NewForConfig(server.LoopbackClientConfig)
	if err != nil {
		return err
	}
	mux := server.Handler.NonGoRestfulMux
	mux.HandleFunc("/api", func(response http.ResponseWriter, _ *http.Request) {
		write(response, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}})
	})
	mux.HandleFunc("/apis", func(response http.ResponseWriter, request *http.Request) {
		definitions, err := client.ApiextensionsV1().CustomResourceDefinitions().List(request.Context(), metav1.ListOptions{})
		if err != nil {
			http.Error(response, err.Error(), http.StatusInternalServerError)
			return
		}
		list := metav1.APIGroupList{
			TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"},
			Groups:   []metav1.APIGroup{group(v1.GroupName, "v1")},
		}
		listed := map[string]bool{}
		for _, definition := range definitions.Items {
			for _, version := range definition.Spec.Versions {
				key := definition.Spec.Group + "/" + version.Name
				if version.Served && !listed[key] {
					listed[key] = true
					list.Groups = append(list.Groups, group(definition.Spec.Group, version.Name))
				}
			}
		}
		write(response, list)
	})
	return nil
}

func group(name, version string) metav1.APIGroup {
	served := metav1.GroupVersionForDiscovery{GroupVersion: name + "/" + version, Version: version}
	return metav1.APIGroup{
		Name:             name,
		Versions:         []metav1.GroupVersionForDiscovery{served},
		PreferredVersion: served,
	}
}

func write(response http.ResponseWriter, value any) {
	response.Header().Set("Content-Type", "application/json")
	// An error is ignored: the client has closed the connection.
	_ = json.NewEncoder(response).Encode(value)
}
