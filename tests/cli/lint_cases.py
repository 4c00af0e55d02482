# SPDX-License-Identifier: Apache-2.0
"""For each rule of `ripstop lint`: manifests that trip it and near-identical ones that do not.

A "§" marks where the finding must point to and is taken out of the text before it is read.
"""


def ns(name, labels=""):
    return f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels: {{{labels}}}\n---\n"


def pod(space, name, labels, ports="", spec="", status=""):
    return (f"apiVersion: v1\nkind: Pod\nmetadata: {{namespace: {space}, name: {name}, labels: {{{labels}}}}}\n"
            f"spec: {{containers: [{{name: c, ports: [{ports}]}}]{spec}}}\nstatus: {{{status}}}\n---\n")


def deploy(space, name, labels, ports="", spec=""):
    return (f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{namespace: {space}, name: {name}}}\n"
            f"spec:\n  selector: {{matchLabels: {{{labels}}}}}\n  template:\n    metadata: {{labels: {{{labels}}}}}\n"
            f"    spec: {{containers: [{{name: c, ports: [{ports}]}}]{spec}}}\n---\n")


def service(space, name, spec):
    return f"apiVersion: v1\nkind: Service\nmetadata: {{namespace: {space}, name: {name}}}\nspec: {{{spec}}}\n---\n"


def np(spec, name="p", space="shop", meta="", head=""):
    body = "".join("  " + line + "\n" for line in spec.strip("\n").split("\n"))
    return (f"{head}apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  namespace: {space}\n"
            f"  name: {name}\n{meta}spec:\n{body}---\n")


ONLY = "podSelector: {matchLabels: {app: db}}\npolicyTypes: [Ingress]\n"
OUT = "podSelector: {matchLabels: {app: db}}\npolicyTypes: [Egress]\n"
SHOP = ns("shop", "team: a") + ns("ops", "team: b") + pod("shop", "db-0", "app: db", "{name: pg, containerPort: 5432}") \
    + deploy("shop", "web", "app: web") + deploy("ops", "prom", "app: prom")
DNS = "egress:\n- to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}]\n  ports:\n"
HOOK = ("apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: guard}\n"
        "webhooks: [{name: a.example.com, clientConfig: {service: {namespace: shop, name: hook, port: 443}}}]\n---\n")
HOOKED = service("shop", "hook", "selector: {app: hook}, ports: [{port: 443, targetPort: https}]") \
    + pod("shop", "hook-0", "app: hook", "{name: https, containerPort: 8443}")
HOOK_ONLY = "§podSelector: {matchLabels: {app: hook}}\npolicyTypes: [Ingress]\n"
API = ("apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1.metrics.example.com}\n"
       "spec: {service: {namespace: shop, name: hook}}\n---\n")
CRD = ("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a.example.com}\n"
       "spec: {conversion: {strategy: Webhook, webhook: {clientConfig: {service: {namespace: shop, name: hook}}}}}\n---\n")
CR = "apiVersion: %s\nkind: Cluster\nmetadata: {namespace: %s, name: pg}\n---\n"
RC = "apiVersion: v1\nkind: ReplicationController\nmetadata: {namespace: shop, name: pg}\n---\n"


def rule(body):
    return np(ONLY + "ingress:\n" + body)


def out_rule(body):
    return np(OUT + "egress:\n" + body)


# rule: (severity, [texts that trip it], [texts that do not])
CASES = {
    "unknown-field": ("error", [
        rule("- from:\n  - §podselector: {matchLabels: {app: web}}"),
        rule("- from:\n  - §nameSpaceSelector: {}\n    podSelector: {}"),
        rule("- from:\n  - podSelector: {}\n    §ports: [{port: 5432}]"),
        rule("- from:\n  - podSelector:\n      §app: web"),
        np("podSelector: {}\n§policytypes: [Ingress]"),
        rule("- §to:\n  - podSelector: {}"),
        np(ONLY, meta="  §lables: {a: b}\n"),
        rule("- from:\n  - ipBlock: {cidr: 10.0.0.0/8, §exept: [10.1.0.0/16]}"),
        np("podSelector:\n  matchExpressions:\n  - {key: a, §op: Exists, operator: Exists}\npolicyTypes: [Ingress]"),
    ], [
        rule("- from:\n  - podSelector: {matchLabels: {app: web}}"),
        rule("- from:\n  - namespaceSelector: {}\n    podSelector: {}"),
        rule("- from:\n  - podSelector: {}\n  ports: [{port: 5432}]"),
        np(ONLY, meta="  labels: {podselector: x}\n  annotations: {any: thing}\n"),
    ]),
    "invalid-field": ("error", [
        np("podSelector: {}\npolicyTypes: [§Igress]"),
        np("podSelector: §x\npolicyTypes: [Ingress]"),
        rule("- from: §web"),
        rule("- from:\n  - §web"),
        rule("-§ "),
    ], [
        np("podSelector: {}\npolicyTypes: [Ingress]"),
        rule("- {}"),
    ]),
    "invalid-label": ("error", [
        np("podSelector:\n  matchLabels:\n    §app: true\npolicyTypes: [Ingress]"),
        np("podSelector:\n  matchLabels:\n    §version: 1\npolicyTypes: [Ingress]"),
        np("podSelector:\n  matchLabels:\n    §app_: web\npolicyTypes: [Ingress]"),
        rule("- from:\n  - podSelector: {matchLabels: {§app: we b}}"),
        rule("- from:\n  - podSelector:\n      matchExpressions: [{key: app, operator: In, values: [web, §-api]}]"),
        rule("- from:\n  - podSelector:\n      matchExpressions: [{§key: a/b/c, operator: Exists}]"),
    ], [
        np("podSelector:\n  matchLabels:\n    app: \"true\"\npolicyTypes: [Ingress]"),
        np("podSelector:\n  matchLabels:\n    version: \"1\"\npolicyTypes: [Ingress]"),
        np("podSelector:\n  matchLabels:\n    app_x.y-z: web\n    example.com/app: \"\"\npolicyTypes: [Ingress]"),
    ]),
    "invalid-port": ("error", [
        rule("- ports:\n  - §port: \"5432\""),
        rule("- ports:\n  - §port: 70000"),
        rule("- ports:\n  - §port: 0"),
        rule("- ports:\n  - §port: a_port"),
        rule("- ports:\n  - §port: a-name-that-is-too-long"),
    ], [
        rule("- ports:\n  - port: 5432"),
        rule("- ports:\n  - port: 65535"),
        rule("- ports:\n  - port: pg"),
    ]),
    "invalid-end-port": ("error", [
        rule("- ports:\n  - port: pg\n    §endPort: 6000"),
        rule("- ports:\n  - port: 6000\n    §endPort: 5000"),
        rule("- ports:\n  - protocol: TCP\n    §endPort: 5000"),
        rule("- ports:\n  - port: 6000\n    §endPort: 70000"),
    ], [
        rule("- ports:\n  - port: 5000\n    endPort: 6000"),
        rule("- ports:\n  - port: 5000\n    endPort: 5000"),
        rule("- ports:\n  - port: 5000\n    endPort: 65535"),
    ]),
    "unknown-protocol": ("error", [
        rule("- ports:\n  - §protocol: tcp\n    port: 80"),
        rule("- ports:\n  - §protocol: ICMP"),
    ], [
        rule("- ports:\n  - protocol: TCP\n    port: 80"),
        rule("- ports:\n  - port: 80"),
    ]),
    "empty-peer": ("error", [
        rule("- from:\n  - §{}"),
        rule("- from:\n  - §podSelector:\n  ports: [{port: 80}]"),
    ], [
        rule("- from:\n  - podSelector: {}"),
        rule("- {}"),
    ]),
    "invalid-ip-block": ("error", [
        rule("- from:\n  - ipBlock:\n      §cidr: 10.0.0.0"),
        rule("- from:\n  - ipBlock:\n      cidr: 10.0.0.0/8\n      except: [§11.0.0.0/16]"),
        rule("- from:\n  - ipBlock:\n      cidr: 10.0.0.0/8\n      except: [10.1.0.0/16, §10.0.0.0/8]"),
        rule("- from:\n  - ipBlock:\n      cidr: 10.0.0.0/8\n      except: [§\"fd00::/16\"]"),
        rule("- from:\n  - §ipBlock:\n      except: [10.0.0.0/8]"),
        rule("- from:\n  - §ipBlock: {cidr: 10.0.0.0/8}\n    podSelector: {}"),
    ], [
        rule("- from:\n  - ipBlock:\n      cidr: 10.0.0.0/8\n      except: [10.1.0.0/16, 10.2.0.0/16]"),
        rule("- from:\n  - ipBlock: {cidr: 10.0.0.0/8}\n  - podSelector: {}"),
        rule("- from:\n  - ipBlock: {cidr: \"fd00::/16\", except: [\"fd00:1::/32\"]}"),
    ]),
    "defined-twice": ("error", [
        np(ONLY) + np(ONLY).replace("  name: p", "  §name: p"),
    ], [
        np(ONLY) + np(ONLY, name="q"),
        np(ONLY) + np(ONLY, space="ops"),
    ]),
    "selector-matches-nothing": ("warning", [
        SHOP + np("§podSelector: {matchLabels: {app: bd}}\npolicyTypes: [Ingress]"),
        # These make no pods, or make them elsewhere.
        SHOP + CR % ("gateway.networking.k8s.io/v1", "shop") + CR % ("a.example.com/v1", "ops")
        + np("§podSelector: {matchLabels: {app: bd}}\npolicyTypes: [Ingress]"),
        SHOP + np("policyTypes: [Ingress]\n§podSelector:\n  matchExpressions: [{key: app, operator: NotIn, values: [db, web]}]"),
    ], [
        SHOP + np(ONLY),
        SHOP + np("podSelector: {matchLabels: {app: web}}\npolicyTypes: [Ingress]"),
        SHOP + np("podSelector: {}\npolicyTypes: [Ingress]"),
        # Nothing is known of the pods there.
        ns("shop") + pod("ops", "x", "app: x") + np("podSelector: {matchLabels: {app: bd}}\npolicyTypes: [Ingress]"),
        np("podSelector: {matchLabels: {app: bd}}\npolicyTypes: [Ingress]"),
    ]),
    "peer-matches-nothing": ("warning", [
        SHOP + rule("- from:\n  - §podSelector: {matchLabels: {app: wbe}}"),
        SHOP + out_rule("- to:\n  - podSelector: {matchLabels: {app: web}}\n  - §podSelector: {matchLabels: {app: wbe}}"),
        # prom is in another namespace.
        SHOP + rule("- from:\n  - §podSelector: {matchLabels: {app: prom}}"),
        SHOP + rule("- from:\n  - §namespaceSelector: {matchLabels: {team: c}}"),
        SHOP + rule("- from:\n  - §namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ohps}}").replace("ops", "ohp")
        .replace("ohps", "ohpp") + ns("ohpps"),
        SHOP + rule("- from:\n  - namespaceSelector: {matchLabels: {team: b}}\n    §podSelector: {matchLabels: {app: grafana}}"),
        SHOP + pod("shop", "agent", "app: agent", spec=", hostNetwork: true")
        + rule("- from:\n  - §podSelector: {matchLabels: {app: agent}}"),
    ], [
        SHOP + rule("- from:\n  - podSelector: {matchLabels: {app: web}}"),
        SHOP + rule("- from:\n  - podSelector: {}"),
        SHOP + rule("- from:\n  - namespaceSelector: {matchLabels: {team: b}}"),
        SHOP + rule("- from:\n  - namespaceSelector: {matchLabels: {team: b}}\n    podSelector: {matchLabels: {app: prom}}"),
        # Namespaces and pods of other repositories.
        SHOP + rule("- from:\n  - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}"),
        SHOP + out_rule("- to:\n  - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}\n"
                        "    podSelector: {matchLabels: {k8s-app: kube-dns}}"),
        pod("kube-system", "x", "app: x") + out_rule(
            "- to:\n  - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}\n"
            "    podSelector: {matchLabels: {k8s-app: kube-dns}}"),
        rule("- from:\n  - podSelector: {matchLabels: {app: wbe}}"),
        rule("- from:\n  - namespaceSelector: {matchLabels: {team: c}}"),
        SHOP + rule("- from:\n  - ipBlock: {cidr: 192.0.2.0/24}"),
        # Told once, as a dash too many or too few.
        SHOP + rule("- from:\n  - namespaceSelector: {matchLabels: {team: b}}\n  - podSelector: {matchLabels: {app: prom}}"),
        SHOP + rule("- from:\n  - namespaceSelector: {matchLabels: {team: b}}\n    podSelector: {matchLabels: {app: web}}"),
    ]),
    "selector-contradiction": ("warning", [
        np("§podSelector:\n  matchLabels: {app: db}\n  matchExpressions: [{key: app, operator: In, values: [web]}]\n"
           "policyTypes: [Ingress]"),
        np("§podSelector:\n  matchExpressions: [{key: a, operator: Exists}, {key: a, operator: DoesNotExist}]\n"
           "policyTypes: [Ingress]"),
        rule("- from:\n  - §namespaceSelector:\n      matchLabels: {team: a}\n"
             "      matchExpressions: [{key: team, operator: NotIn, values: [a, b]}]"),
    ], [
        np("podSelector:\n  matchLabels: {app: db}\n  matchExpressions: [{key: app, operator: In, values: [web, db]}]\n"
           "policyTypes: [Ingress]"),
        np("podSelector:\n  matchExpressions: [{key: a, operator: Exists}, {key: b, operator: DoesNotExist}]\n"
           "policyTypes: [Ingress]"),
        rule("- from:\n  - namespaceSelector:\n      matchLabels: {team: a}\n"
             "      matchExpressions: [{key: team, operator: NotIn, values: [c, b]}]"),
    ]),
    "or-instead-of-and": ("warning", [
        SHOP + rule("- from:\n  - namespaceSelector: {matchLabels: {team: b}}\n  - §podSelector: {matchLabels: {app: prom}}"),
        rule("- from:\n  - namespaceSelector: {}\n  - §podSelector: {matchLabels: {app: prom}}"),
        out_rule("- to:\n  - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}\n"
                 "  - §podSelector: {matchLabels: {k8s-app: kube-dns}}"),
        SHOP + rule("- from:\n  - namespaceSelector: {matchLabels: {team: a}}\n  - §podSelector: {matchLabels: {app: web}}"),
    ], [
        SHOP + rule("- from:\n  - namespaceSelector: {matchLabels: {team: b}}\n    podSelector: {matchLabels: {app: prom}}"),
        # web is here: the alternative is meant.
        SHOP + rule("- from:\n  - namespaceSelector: {matchLabels: {team: b}}\n  - podSelector: {matchLabels: {app: web}}"),
        SHOP + rule("- from:\n  - namespaceSelector: {}\n  - podSelector: {}"),
        SHOP + rule("- from:\n  - podSelector: {matchLabels: {app: web}}\n  - namespaceSelector: {matchLabels: {team: b}}"),
    ]),
    "and-instead-of-or": ("warning", [
        SHOP + rule("- from:\n  - §namespaceSelector: {matchLabels: {team: b}}\n    podSelector: {matchLabels: {app: web}}"),
    ], [
        SHOP + rule("- from:\n  - namespaceSelector: {matchLabels: {team: b}}\n  - podSelector: {matchLabels: {app: web}}"),
        SHOP + rule("- from:\n  - namespaceSelector: {matchLabels: {team: a}}\n    podSelector: {matchLabels: {app: web}}"),
        SHOP + rule("- from:\n  - namespaceSelector: {matchLabels: {team: z}}\n    podSelector: {matchLabels: {app: web}}"),
    ]),
    "namespace-name-label": ("warning", [
        rule("- from:\n  - namespaceSelector:\n      matchLabels:\n        §name: kube-system"),
        SHOP + rule("- from:\n  - namespaceSelector:\n      §matchExpressions: [{key: name, operator: In, values: [ops]}]"),
    ], [
        rule("- from:\n  - namespaceSelector:\n      matchLabels:\n        kubernetes.io/metadata.name: kube-system"),
        ns("ops", "name: ops") + rule("- from:\n  - namespaceSelector:\n      matchLabels:\n        name: ops"),
        rule("- from:\n  - podSelector:\n      matchLabels:\n        name: web"),
        rule("- from:\n  - namespaceSelector:\n      matchExpressions: [{key: name, operator: DoesNotExist}]"),
    ]),
    "undefined-namespace": ("warning", [
        ns("production") + np(ONLY, space="prodution").replace("  namespace", "  §namespace"),
        pod("production", "x", "app: x") + np(ONLY, space="prodcution").replace("  namespace", "  §namespace"),
    ], [
        ns("production") + np(ONLY, space="production"),
        ns("team-a") + ns("team-b") + np(ONLY, space="team-b"),
        np(ONLY, space="prodution"),
        SHOP + np(ONLY, space="kube-system"),
    ]),
    "host-network-pod": ("warning", [
        pod("shop", "agent", "app: agent", spec=", hostNetwork: true")
        + np("§podSelector: {matchLabels: {app: agent}}\npolicyTypes: [Ingress]"),
        deploy("shop", "agent", "app: agent", spec=", hostNetwork: true")
        + np("§podSelector: {matchLabels: {app: agent}}\npolicyTypes: [Ingress]"),
    ], [
        pod("shop", "agent", "app: agent", spec=", hostNetwork: false")
        + np("podSelector: {matchLabels: {app: agent}}\npolicyTypes: [Ingress]"),
        pod("shop", "agent", "app: agent", spec=", hostNetwork: true") + SHOP + np(ONLY),
        pod("ops", "agent", "app: db", spec=", hostNetwork: true") + SHOP + np(ONLY),
    ]),
    "policy-types-omitted": ("warning", [
        np("podSelector: {matchLabels: {app: db}}\n§egress:\n- to: [{podSelector: {}}]"),
        np("podSelector: {matchLabels: {app: db}}\npolicyTypes: []\n§egress:\n- to: [{podSelector: {}}]"),
    ], [
        np("podSelector: {matchLabels: {app: db}}\npolicyTypes: [Egress]\negress:\n- to: [{podSelector: {}}]"),
        np("podSelector: {matchLabels: {app: db}}\ningress: []\negress:\n- to: [{podSelector: {}}]"),
        np("podSelector: {matchLabels: {app: db}}\ningress:\n- from: [{podSelector: {}}]"),
    ]),
    "rules-ignored": ("warning", [
        np(ONLY + "§egress:\n- to: [{podSelector: {}}]"),
        np(OUT + "§ingress:\n- from: [{podSelector: {}}]"),
    ], [
        np("podSelector: {}\npolicyTypes: [Ingress, Egress]\negress:\n- to: [{podSelector: {}}]"),
        np("podSelector: {}\negress:\n- to: [{podSelector: {}}]"),
    ]),
    "empty-peer-list": ("warning", [
        rule("- §from: []\n  ports: [{port: 5432}]"),
        out_rule("- §to:\n  ports: [{port: 5432}]"),
    ], [
        rule("- ports: [{port: 5432}]"),
        rule("- {}"),
        rule("- from: [{podSelector: {}}]\n  ports: [{port: 5432}]"),
    ]),
    "empty-port-list": ("warning", [
        rule("- from: [{podSelector: {}}]\n  §ports: []"),
    ], [
        rule("- from: [{podSelector: {}}]"),
        rule("- from: [{podSelector: {}}]\n  ports: [{protocol: TCP}]"),
    ]),
    "dns-udp-only": ("warning", [
        np(OUT + DNS + "  - §protocol: UDP\n    port: 53"),
        np(OUT + DNS + "  - §{protocol: UDP, port: 53}\n- ports: [{port: 53}]\n  to: [{podSelector: {}}]"),
        # The other policy is for other pods.
        np(OUT + DNS + "  - §{protocol: UDP, port: 53}") + np("podSelector: {matchLabels: {app: web}}\npolicyTypes: [Egress]\n"
                                                              + DNS + "  - {port: 53}\n  - {port: 53, protocol: UDP}", name="q"),
    ], [
        np(OUT + DNS + "  - {protocol: UDP, port: 53}\n  - {protocol: TCP, port: 53}"),
        np(OUT + DNS + "  - {protocol: UDP, port: 53}\n- ports: [{port: 53}]"),
        np(OUT + DNS + "  - {protocol: UDP, port: 53}") + np("podSelector: {}\npolicyTypes: [Egress]\n" + DNS
                                                             + "  - {port: 1, endPort: 100}", name="q"),
        np(OUT + DNS + "  - {protocol: UDP, port: 5353}"),
    ]),
    "dns-tcp-only": ("warning", [
        np(OUT + DNS + "  - §port: 53"),
        np(OUT + DNS + "  - §{protocol: TCP, port: 53}"),
    ], [
        np(OUT + DNS + "  - {protocol: UDP, port: 53}\n  - {port: 53}"),
        np(OUT + DNS + "  - {port: 53}\n- to: [{namespaceSelector: {}}]\n  ports: [{protocol: UDP}]"),
        np(ONLY + "ingress: [{ports: [{port: 53}]}]"),
    ]),
    "no-dns": ("warning", [
        SHOP + np(OUT + "§egress:\n- to: [{podSelector: {matchLabels: {app: web}}}]"),
        np(OUT + "§egress:\n- to: [{podSelector: {matchLabels: {app: web}}}]\n  ports: [{port: 80}]"),
        SHOP + np("podSelector: {}\npolicyTypes: [Egress]", name="all")
        + np("§egress:\n- ports: [{port: 443}]\npodSelector: {matchLabels: {app: db}}\npolicyTypes: [Egress]"),
    ], [
        SHOP + np(OUT + "egress:\n- to: [{podSelector: {matchLabels: {app: web}}}]\n- ports: [{port: 53, protocol: UDP}, {port: 53}]"),
        SHOP + np(OUT + "egress:\n- to: [{podSelector: {matchLabels: {app: web}}}]")
        + np("podSelector: {}\npolicyTypes: [Egress]\n" + DNS + "  - {port: 53, protocol: UDP}\n  - {port: 53}", name="dns"),
        SHOP + np(OUT + "egress:\n- to: [{namespaceSelector: {}}]"),
        SHOP + np(OUT + "egress:\n- {}"),
        SHOP + np(OUT + "egress:\n- to: [{podSelector: {matchLabels: {app: web}}}]\n- to: [{ipBlock: {cidr: 169.254.20.10/32}}]"),
        SHOP + rule("- from: [{podSelector: {matchLabels: {app: web}}}]"),
    ]),
    "undeclared-named-port": ("warning", [
        SHOP + rule("- ports:\n  - §port: pgsql"),
        SHOP + rule("- ports:\n  - protocol: UDP\n    §port: pg"),
        # Egress: the peers' ports count, not the subject's.
        SHOP + out_rule("- to: [{podSelector: {matchLabels: {app: web}}}]\n  ports:\n  - §port: pg\n- ports: [{port: 53}]"),
    ], [
        SHOP + rule("- ports:\n  - port: pg"),
        SHOP + np("podSelector: {matchLabels: {app: web}}\npolicyTypes: [Egress]\negress:\n"
                  "- to: [{podSelector: {matchLabels: {app: db}}}]\n  ports:\n  - port: pg"),
        SHOP + out_rule("- to: [{namespaceSelector: {matchLabels: {x: z}}}]\n  ports:\n  - port: pgsql"),
        rule("- ports:\n  - port: pgsql"),
        deploy("shop", "db", "app: db", "{name: pg, containerPort: 5432}") + rule("- ports:\n  - port: pg"),
    ]),
    "named-port-to-ip-block": ("warning", [
        out_rule("- to: [{ipBlock: {cidr: 192.0.2.0/24}}]\n  ports:\n  - §port: https"),
    ], [
        out_rule("- to: [{ipBlock: {cidr: 192.0.2.0/24}}]\n  ports:\n  - port: 443"),
        out_rule("- to: [{ipBlock: {cidr: 192.0.2.0/24}}, {podSelector: {}}]\n  ports:\n  - port: https"),
        rule("- from: [{ipBlock: {cidr: 192.0.2.0/24}}]\n  ports:\n  - port: pg"),
    ]),
    "service-ip-in-ip-block": ("warning", [
        service("shop", "db", "clusterIP: 10.96.7.8, selector: {app: db}, ports: [{port: 5432}]")
        + out_rule("- to:\n  - ipBlock:\n      §cidr: 10.96.7.8/32"),
        service("shop", "db", "clusterIP: 10.96.7.8, selector: {app: db}, ports: [{port: 5432}]")
        + out_rule("- to:\n  - ipBlock:\n      §cidr: 10.96.0.0/12"),
        service("shop", "db", "type: LoadBalancer, clusterIP: 10.96.7.8, externalIPs: [192.0.2.9], ports: [{port: 5432}]")
        + out_rule("- to:\n  - ipBlock:\n      §cidr: 192.0.2.9/32"),
    ], [
        service("shop", "db", "clusterIP: 10.96.7.8, selector: {app: db}, ports: [{port: 5432}]")
        + out_rule("- to:\n  - ipBlock:\n      cidr: 10.96.7.9/32"),
        service("shop", "db", "clusterIP: 10.96.7.8, selector: {app: db}, ports: [{port: 5432}]")
        + out_rule("- to:\n  - ipBlock:\n      cidr: 10.0.0.0/8"),
        "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {podCIDRs: [192.168.1.0/24]}\n---\n"
        + service("shop", "db", "clusterIP: 10.96.7.8, selector: {app: db}, ports: [{port: 5432}]")
        + out_rule("- to:\n  - ipBlock:\n      cidr: 10.0.0.0/8"),
        service("shop", "db", "type: LoadBalancer, clusterIP: 10.96.7.8, externalIPs: [192.0.2.9], ports: [{port: 5432}]")
        + out_rule("- to:\n  - ipBlock:\n      cidr: 192.0.2.0/24"),
        service("shop", "db", "clusterIP: 10.96.7.8, selector: {app: db}, ports: [{port: 5432}]")
        + out_rule("- to:\n  - ipBlock: {cidr: 0.0.0.0/0, except: [10.96.0.0/12]}"),
    ]),
    "pod-ip-in-ip-block": ("warning", [
        pod("shop", "a", "app: a", status="podIPs: [{ip: 10.244.1.9}]") + rule("- from:\n  - ipBlock:\n      §cidr: 10.244.1.9/32"),
        "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {podCIDRs: [10.244.1.0/24]}\n---\n"
        + rule("- from:\n  - ipBlock:\n      §cidr: 10.244.1.0/24"),
    ], [
        pod("shop", "a", "app: a", status="podIPs: [{ip: 10.9.1.9}]") + rule("- from:\n  - ipBlock:\n      cidr: 10.9.1.8/32"),
        "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {podCIDRs: [10.244.1.0/24]}\n---\n"
        + rule("- from:\n  - ipBlock:\n      cidr: 10.0.0.0/8"),
        "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {podCIDRs: [10.244.1.0/24]}\n---\n"
        + rule("- from:\n  - ipBlock: {cidr: 0.0.0.0/0, except: [10.244.1.0/24]}"),
    ]),
    "ip-block-host-bits": ("warning", [
        rule("- from:\n  - ipBlock:\n      §cidr: 10.0.0.5/24"),
        rule("- from:\n  - ipBlock:\n      cidr: 10.0.0.0/8\n      except: [§10.1.0.1/16]"),
        rule("- from:\n  - ipBlock:\n      §cidr: \"2001:db8::1/64\""),
    ], [
        rule("- from:\n  - ipBlock:\n      cidr: 10.0.0.0/24"),
        rule("- from:\n  - ipBlock:\n      cidr: 10.0.0.5/32"),
        rule("- from:\n  - ipBlock:\n      cidr: \"2001:DB8:0::/64\""),
    ]),
    "ip-block-leading-zeros": ("warning", [
        rule("- from:\n  - ipBlock:\n      §cidr: 010.1.2.0/24"),
        rule("- from:\n  - ipBlock:\n      §cidr: 10.1.02.0/24"),
    ], [
        rule("- from:\n  - ipBlock:\n      cidr: 10.1.2.0/24"),
        rule("- from:\n  - ipBlock:\n      cidr: 100.0.20.0/24"),
        rule("- from:\n  - ipBlock:\n      cidr: \"2001:0db8::/32\""),
        rule("- from:\n  - ipBlock:\n      cidr: \"0064:ff9b::/96\""),
    ]),
    "ip-block-v4-mapped": ("warning", [
        rule("- from:\n  - ipBlock:\n      §cidr: \"::ffff:10.0.0.0/104\""),
    ], [
        rule("- from:\n  - ipBlock:\n      cidr: \"::fffe:10.0.0.0/112\""),
        rule("- from:\n  - ipBlock:\n      cidr: 10.0.0.0/8"),
    ]),
    "ip-block-all-excepted": ("warning", [
        rule("- from:\n  - ipBlock:\n      cidr: 10.0.0.0/8\n      §except: [10.128.0.0/9, 10.0.0.0/9]"),
        rule("- from:\n  - ipBlock:\n      cidr: 0.0.0.0/0\n      §except: [128.0.0.0/1, 0.0.0.0/1, 10.0.0.0/8]"),
    ], [
        rule("- from:\n  - ipBlock:\n      cidr: 10.0.0.0/8\n      except: [10.128.0.0/9, 10.0.0.0/10]"),
        rule("- from:\n  - ipBlock:\n      cidr: 10.0.0.0/8\n      except: [10.0.0.0/9, 10.0.0.0/10]"),
    ]),
    "webhook-lock-out": ("warning", [
        HOOK + HOOKED + np(HOOK_ONLY),
        HOOK.replace("Validating", "Mutating") + HOOKED + np(HOOK_ONLY + "ingress: [{from: [{namespaceSelector: {}}]}]"),
        HOOK + HOOKED + np(HOOK_ONLY + "ingress: [{ports: [{port: 443}]}]"),
        CRD + HOOKED + np(HOOK_ONLY),
    ], [
        HOOK + HOOKED,
        HOOK + HOOKED + np(HOOK_ONLY.replace("§", "") + "ingress: [{ports: [{port: 8443}]}]"),
        HOOK + HOOKED + np(HOOK_ONLY.replace("§", "") + "ingress: [{ports: [{port: https}]}]"),
        HOOK + HOOKED + np(HOOK_ONLY.replace("§", "")) + np("podSelector: {}\ningress: [{}]", name="open"),
        HOOK + HOOKED + np(HOOK_ONLY.replace("§", "") + "ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]"),
        HOOK + HOOKED + np(ONLY),
        HOOK + HOOKED + np(HOOK_ONLY.replace("§", "").replace("Ingress", "Egress")),
        HOOK + HOOKED.replace("]}]}", "]}], hostNetwork: true}") + np(HOOK_ONLY.replace("§", "")),
        HOOK + np(HOOK_ONLY.replace("§", "")),
        API + HOOKED + np(HOOK_ONLY.replace("§", "")),
    ]),
    "api-service-lock-out": ("warning", [
        API + HOOKED + np(HOOK_ONLY),
    ], [
        API + HOOKED + np(HOOK_ONLY.replace("§", "") + "ingress: [{ports: [{port: 8443}]}]"),
        HOOK + HOOKED + np(HOOK_ONLY.replace("§", "")),
    ]),
    "shadowed-rule": ("warning", [
        rule("- §from: [{podSelector: {matchLabels: {app: web}}}]\n  ports: [{port: 5432}]\n- from: [{podSelector: {}}]"),
        rule("- ports: [{port: 5000, endPort: 6000}]\n- §ports: [{port: 5432}]\n  from: [{ipBlock: {cidr: 192.0.2.0/24}}]"),
        rule("- §from: [{ipBlock: {cidr: 192.0.2.0/25}}]\n- from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/26]}}]"),
        rule("- from: [{namespaceSelector: {matchExpressions: [{key: t, operator: In, values: [a, b]}]}}]\n"
             "- §from: [{namespaceSelector: {matchLabels: {t: a}}, podSelector: {matchLabels: {x: z}}}]"),
        rule("- {}\n- §ports: [{port: 80}]"),
        # Everybody is more than the pods of a namespace: the second one stays.
        rule("- §from: [{podSelector: {}}]\n  ports: [{port: 80}]\n- ports: [{port: 80}]"),
        rule("- §from: [{podSelector: {}}]\n  ports: [{port: 80}]\n- from: [{podSelector: {}}]"),
    ], [
        rule("- from: [{podSelector: {matchLabels: {app: web}}}]\n  ports: [{port: 5432}]\n- from: [{podSelector: {}}]\n"
             "  ports: [{port: 80}]"),
        rule("- ports: [{port: 5000, endPort: 6000}]\n- ports: [{port: 5432, protocol: UDP}]"),
        rule("- from: [{ipBlock: {cidr: 192.0.2.0/25}}]\n- from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.64/26]}}]"),
        rule("- from: [{namespaceSelector: {matchExpressions: [{key: t, operator: NotIn, values: [a, b]}]}}]\n"
             "- from: [{namespaceSelector: {matchLabels: {t: a}}}]"),
        # Pods of the world are not the world.
        rule("- from: [{namespaceSelector: {}}]\n- from: [{ipBlock: {cidr: 0.0.0.0/0}}]"),
        rule("- from: [{podSelector: {}}]\n- from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}]"),
        rule("- ports: [{port: pg}]\n- ports: [{port: 5432}]"),
        np("podSelector: {}\npolicyTypes: [Ingress, Egress]\ningress: [{}]\negress: [{ports: [{port: 53}]}]"),
    ]),
    "duplicate-rule": ("warning", [
        rule("- from: [{podSelector: {matchLabels: {app: web}}}]\n- §from: [{podSelector: {matchLabels: {app: web}}}]"),
        rule("- ports: [{port: 80}, {port: 81}]\n- §ports: [{port: 81}, {port: 80, protocol: TCP}]"),
    ], [
        rule("- from: [{podSelector: {matchLabels: {app: web}}}]\n- from: [{podSelector: {matchLabels: {app: api}}}]"),
        rule("- ports: [{port: 80}, {port: 81}]\n- ports: [{port: 81}, {port: 80, protocol: UDP}]"),
    ]),
    "duplicate-item": ("note", [
        rule("- from:\n  - podSelector: {matchLabels: {app: web}}\n  - §podSelector: {matchLabels: {app: web}}"),
        rule("- ports: [{port: 80}, §{port: 80, protocol: TCP}]"),
        rule("- from: [{ipBlock: {cidr: 10.1.0.0/16}}, §{ipBlock: {cidr: 10.1.0.0/16}}]"),
    ], [
        rule("- from:\n  - podSelector: {matchLabels: {app: web}}\n  - podSelector: {matchLabels: {app: api}}"),
        rule("- ports: [{port: 80}, {port: 80, protocol: UDP}, {port: http}]"),
    ]),
    "sctp": ("note", [
        rule("- ports:\n  - §protocol: SCTP\n    port: 9"),
    ], [
        rule("- ports:\n  - protocol: UDP\n    port: 9"),
    ]),
    "unknown-ignored-rule": ("warning", [
        np(ONLY, meta="  annotations:\n    §ripstop.dev/lint-ignore: no-dsn\n"),
        np(ONLY, head="§# ripstop.dev/lint-ignore: everything\n"),
    ], [
        np(ONLY, meta="  annotations:\n    ripstop.dev/lint-ignore: no-dns, sctp\n"),
        np(ONLY, head="# ripstop.dev/lint-ignored: everything\n"),
    ]),
}

# Likely and not proven: told as a note, which leaves the exit code alone.
NOTES = {
    # An operator may make the pods that are meant.
    "selector-matches-nothing": [
        SHOP + CR % ("postgresql.cnpg.io/v1", "shop") + np("§podSelector: {matchLabels: {cnpg.io/cluster: pg}}\npolicyTypes: [Ingress]"),
        SHOP + RC + np("§podSelector: {matchLabels: {app: pg}}\npolicyTypes: [Ingress]"),
    ],
    "peer-matches-nothing": [
        SHOP + CR % ("postgresql.cnpg.io/v1", "shop") + rule("- from:\n  - §podSelector: {matchLabels: {cnpg.io/cluster: pg}}"),
        SHOP + CR % ("a.example.com/v1", "ops")
        + rule("- from:\n  - namespaceSelector: {matchLabels: {team: b}}\n    §podSelector: {matchLabels: {app: grafana}}"),
        SHOP + rule("- from:\n  - §namespaceSelector: {matchLabels: {tenant: c}}"),
        SHOP + rule("- from:\n  - namespaceSelector: {}\n    §podSelector: {matchLabels: {app: grafana}}"),
    ],
    "or-instead-of-and": [
        ns("shop") + rule("- from:\n  - namespaceSelector: {matchLabels: {team: b}}\n  - §podSelector: {matchLabels: {app: prom}}"),
    ],
    "undefined-namespace": [
        ns("ops") + np(ONLY).replace("  namespace", "  §namespace"),
        # Another one of a series is no slip.
        ns("team-a") + ns("team-b") + np(ONLY, space="team-c").replace("  namespace", "  §namespace"),
        ns("web-1") + np(ONLY, space="web-2").replace("  namespace", "  §namespace"),
    ],
    "host-network-pod": [
        SHOP + pod("shop", "agent", "app: agent", spec=", hostNetwork: true") + np("§podSelector: {}\npolicyTypes: [Ingress]"),
    ],
    "rules-ignored": [
        np(ONLY + "§egress: []"),
    ],
    "no-dns": [
        SHOP + np("podSelector: {matchLabels: {app: db}}\n§policyTypes: [Egress]"),
        SHOP + np(OUT + "§egress:\n- to: [{ipBlock: {cidr: 192.0.2.0/24}}]\n  ports: [{port: 443}]"),
    ],
    "undeclared-named-port": [
        SHOP + out_rule("- ports:\n  - §port: pgsql\n- ports: [{port: 53}, {port: 53, protocol: UDP}]"),
    ],
    "service-ip-in-ip-block": [
        out_rule("- to:\n  - ipBlock:\n      §cidr: 10.96.0.1/32\n  ports: [{port: 443}]"),
    ],
    "pod-ip-in-ip-block": [
        rule("- from:\n  - ipBlock:\n      §cidr: 10.244.0.0/16"),
    ],
    "shadowed-rule": [
        rule("- §ports: [{port: 80}]") + np("podSelector: {}\ningress: [{}]", name="open"),
    ],
    "duplicate-rule": [
        rule("- ports: [{port: 80}]") + np(ONLY + "ingress:\n- §ports: [{port: 80}]", name="q"),
    ],
}
