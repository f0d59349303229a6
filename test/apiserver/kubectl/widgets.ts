/** A kind that a user might define: every feature of CRDs that kubectl shows something of. */
export const widgetCrd = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd], categories: [gadgets]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}}
    selectableFields: [{jsonPath: .spec.color}]
    additionalPrinterColumns:
    - {name: Color, type: string, jsonPath: .spec.color, description: the color}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: Ports, type: string, jsonPath: '.spec.ports[*].name', priority: 1}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        description: A widget.
        properties:
          spec:
            type: object
            description: What should be.
            required: [color]
            properties:
              color: {type: string, enum: [red, blue], description: Its color.}
              replicas: {type: integer, default: 1, minimum: 0, maximum: 10, description: How many.}
              size: {x-kubernetes-int-or-string: true, description: How large.}
              ports:
                type: array
                maxItems: 10
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items: {type: object, required: [name], properties: {name: {type: string, maxLength: 10}, number: {type: integer, default: 80}}}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
              tags: {type: object, additionalProperties: {type: string}}
              fixed: {type: string, maxLength: 20, x-kubernetes-validations: [{rule: self == oldSelf, message: fixed is immutable}]}
            x-kubernetes-validations:
            - {rule: "!has(self.replicas) || self.color != 'blue' || self.replicas < 5", message: blue has at most 4}
          status:
            type: object
            properties:
              replicas: {type: integer}
              selector: {type: string}
              conditions: {type: array, items: {type: object, properties: {type: {type: string}, status: {type: string}}}}
`;

export function widgetYaml(name: string, spec: string, metadata = ''): string {
  return `apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: ${name}${metadata && `, ${metadata}`}}\nspec: {${spec}}\n`;
}

export const widgetsPath = '/apis/example.com/v1/namespaces/default/widgets';
