package main

import (
	"fmt"
	"os"

	"google.golang.org/protobuf/types/known/wrapperspb"
	extensions "istio.io/api/extensions/v1alpha1"
	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config/schema/collections"
)

// validated is the result of istiod's validation of a resource.
type validated struct {
	File    string `json:"file"`
	Kind    string `json:"kind"`
	Error   string `json:"error,omitempty"`
	Warning string `json:"warning,omitempty"`
	// Configuration is what the module of a TrafficExtension gets.
	Configuration *string `json:"configuration,omitempty"`
}

func validate(file string) (*validated, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	configs, _, err := crd.ParseInputs(string(text))
	if err != nil {
		return &validated{File: file, Error: err.Error()}, nil
	}
	if len(configs) != 1 {
		return nil, fmt.Errorf("it has %d resources", len(configs))
	}
	config := configs[0]
	schema, found := collections.Pilot.FindByGroupVersionKind(config.GroupVersionKind)
	if !found {
		return nil, fmt.Errorf("Istio has no %s", config.GroupVersionKind)
	}
	result := &validated{File: file, Kind: config.GroupVersionKind.Kind}
	warning, err := schema.ValidateConfig(config)
	if warning != nil {
		result.Warning = warning.Error()
	}
	if err != nil {
		result.Error = err.Error()
	}
	if spec, ok := config.Spec.(*extensions.TrafficExtension); ok {
		wrapper := model.TrafficExtensionWrapper{TrafficExtension: spec, Name: config.Name, Namespace: config.Namespace}
		value := &wrapperspb.StringValue{}
		if filter := wrapper.BuildHTTPWasmFilter(); filter.GetConfig().GetConfiguration().GetTypeUrl() != "" {
			if err := filter.GetConfig().GetConfiguration().UnmarshalTo(value); err != nil {
				return nil, err
			}
		}
		result.Configuration = &value.Value
	}
	return result, nil
}
