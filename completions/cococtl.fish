# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_cococtl_global_optspecs
    string join \n app= socket= json h/help V/version
end

function __fish_cococtl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_cococtl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_cococtl_using_subcommand
    set -l cmd (__fish_cococtl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c cococtl -n "__fish_cococtl_needs_command" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_needs_command" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_needs_command" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_needs_command" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_needs_command" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_needs_command" -f -a "network" -d 'Found and join networks, and say who may do what in them'
complete -c cococtl -n "__fish_cococtl_needs_command" -f -a "node" -d 'Manage the nodes of a network'
complete -c cococtl -n "__fish_cococtl_needs_command" -f -a "tunnel" -d 'Expose resources, and open those of others'
complete -c cococtl -n "__fish_cococtl_needs_command" -f -a "status" -d 'Show the daemon, its networks, peers and tunnels'
complete -c cococtl -n "__fish_cococtl_needs_command" -f -a "peers" -d 'Show the nodes that this one is connected to, and how'
complete -c cococtl -n "__fish_cococtl_needs_command" -f -a "events" -d 'Show what has happened'
complete -c cococtl -n "__fish_cococtl_needs_command" -f -a "dashboard" -d 'Watch networks, peers, tunnels and the relay on the whole terminal'
complete -c cococtl -n "__fish_cococtl_needs_command" -f -a "ping" -d 'Measure the round trip to a node'
complete -c cococtl -n "__fish_cococtl_needs_command" -f -a "doctor" -d 'Examine what stands between this node and the others'
complete -c cococtl -n "__fish_cococtl_needs_command" -f -a "usage" -d 'Show what the relay has carried, against what it may'
complete -c cococtl -n "__fish_cococtl_needs_command" -f -a "run" -d 'Run a program that sees the resources of a network, and nothing else'
complete -c cococtl -n "__fish_cococtl_needs_command" -f -a "wait" -d 'Wait for the daemon to be ready'
complete -c cococtl -n "__fish_cococtl_needs_command" -f -a "completions" -d 'Print a completion script'
complete -c cococtl -n "__fish_cococtl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "create" -d 'Found a network, owned by you'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "list" -d 'List the networks this daemon has joined'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "show" -d 'Show one network'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "leave" -d 'Leave a network, removing this node from it'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "invite" -d 'Make an invite and print it'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "invites" -d 'List the invites that can still be used'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "revoke-invite" -d 'Revoke an invite'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "join" -d 'Join a network by an invite'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "members" -d 'List the people of a network and their nodes'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "role" -d 'Change what a person is: owner, admin or guest'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "remove" -d 'Remove a person with all their nodes'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "rename" -d 'Call a person something else'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "grant" -d 'Let a guest use a resource, instead of what they were granted of it before'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "revoke" -d 'Take a grant back; what is open by it is cut'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "grants" -d 'List the grants'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "apply" -d 'Make roles, resources and grants what a file says'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "prune" -d 'Remove nodes that nobody has seen for long'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "roles" -d 'Show who may do what'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "log" -d 'Tell the network\'s history: who did what when'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "audit" -d 'Check what the managers have shown, and print the proof of what is wrong'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "export" -d 'Write the whole ledger to a file'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "verify" -d 'Verify an exported ledger, without a daemon'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "recovery-key" -d 'Make an offline key of the owner\'s and print it'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "recover" -d 'Come back as the owner with a recovery key'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "managers" -d 'Say which managers may stamp from now on'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "checkpoint" -d 'Vouch for the network\'s state so far'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and not __fish_seen_subcommand_from create list show leave invite invites revoke-invite join members role remove rename grant revoke grants apply prune roles log audit export verify recovery-key recover managers checkpoint help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from create" -l manager -d 'The manager, as coco-manager init printed it' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from create" -l user -d 'Your name in it [default: owner]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from create" -l node-name -d 'The name of this node [default: from the host\'s name]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from create" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from create" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from create" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from create" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from list" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from list" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from list" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from show" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from show" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from show" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from leave" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from leave" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from leave" -l forget -d 'Delete keys and ledger here even if the manager cannot be told'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from leave" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from leave" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from leave" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invite" -l user -d 'Invite an app of this person' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invite" -l role -d 'What that person may do: admin or guest' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invite" -l uses -d 'How often it can be used' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invite" -l expires -d 'For how long: 30s, 5m, 12h, 7d, 2w' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invite" -l node-name -d 'The name of the node that joins' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invite" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invite" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invite" -l device -d 'Invite a device of yours'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invite" -l no-publish -d 'Do not let the device publish resources of its own'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invite" -l self -d 'Invite your next app'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invite" -l qr -d 'Draw it on stderr as a QR code, too'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invite" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invite" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invite" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invites" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invites" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invites" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invites" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from invites" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from revoke-invite" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from revoke-invite" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from revoke-invite" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from revoke-invite" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from revoke-invite" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from join" -l file -d 'Read the invite from this file' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from join" -l node-name -d 'The name of this node [default: from the invite or the host\'s name]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from join" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from join" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from join" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from join" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from join" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from members" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from members" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from members" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from members" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from members" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from role" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from role" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from role" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from role" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from role" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from remove" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from remove" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from remove" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from remove" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from rename" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from rename" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from rename" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from rename" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from rename" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from grant" -l can -d 'What they may do with it [default: what its exporter says is usual, or everything]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from grant" -l when -d 'At which hours of the week, in which time zone [default: always]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from grant" -l until -d 'Until when: a date, whose first moment in UTC is the end, or a time with its offset' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from grant" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from grant" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from grant" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from grant" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from grant" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from revoke" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from revoke" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from revoke" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from revoke" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from grants" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from grants" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from grants" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from grants" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from grants" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from apply" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from apply" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from apply" -l dry-run -d 'Change nothing, print what would change'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from apply" -l remove -d 'Remove people who are not in the file, as `remove = true` in it does'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from apply" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from apply" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from apply" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from prune" -l unseen -d 'For how long nobody has seen them: 30d, 12w' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from prune" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from prune" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from prune" -l devices -d 'Remove devices, too'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from prune" -l dry-run -d 'Remove nothing, list them'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from prune" -l yes -d 'Do not ask'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from prune" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from prune" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from roles" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from roles" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from roles" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from roles" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from roles" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from log" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from log" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from log" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from log" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from log" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from audit" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from audit" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from audit" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from audit" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from audit" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from export" -l output -d 'Where to; - is stdout' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from export" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from export" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from export" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from export" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from verify" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from verify" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from verify" -l guest -d 'Take a guest\'s ledger, in which the content of some entries is left out'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from verify" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from verify" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from recovery-key" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from recovery-key" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from recovery-key" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from recovery-key" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from recovery-key" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from recover" -l file -d 'Read the key from this file' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from recover" -l node-name -d 'The name of this node [default: from the host\'s name]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from recover" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from recover" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from recover" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from recover" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from recover" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from managers" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from managers" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from managers" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from managers" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from managers" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from checkpoint" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from checkpoint" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from checkpoint" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from checkpoint" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from checkpoint" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "create" -d 'Found a network, owned by you'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the networks this daemon has joined'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show one network'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "leave" -d 'Leave a network, removing this node from it'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "invite" -d 'Make an invite and print it'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "invites" -d 'List the invites that can still be used'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "revoke-invite" -d 'Revoke an invite'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "join" -d 'Join a network by an invite'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "members" -d 'List the people of a network and their nodes'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "role" -d 'Change what a person is: owner, admin or guest'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove a person with all their nodes'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "rename" -d 'Call a person something else'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "grant" -d 'Let a guest use a resource, instead of what they were granted of it before'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "revoke" -d 'Take a grant back; what is open by it is cut'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "grants" -d 'List the grants'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "apply" -d 'Make roles, resources and grants what a file says'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Remove nodes that nobody has seen for long'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "roles" -d 'Show who may do what'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "log" -d 'Tell the network\'s history: who did what when'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "audit" -d 'Check what the managers have shown, and print the proof of what is wrong'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "export" -d 'Write the whole ledger to a file'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Verify an exported ledger, without a daemon'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "recovery-key" -d 'Make an offline key of the owner\'s and print it'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "recover" -d 'Come back as the owner with a recovery key'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "managers" -d 'Say which managers may stamp from now on'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "checkpoint" -d 'Vouch for the network\'s state so far'
complete -c cococtl -n "__fish_cococtl_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and not __fish_seen_subcommand_from remove rename help" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and not __fish_seen_subcommand_from remove rename help" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and not __fish_seen_subcommand_from remove rename help" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and not __fish_seen_subcommand_from remove rename help" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and not __fish_seen_subcommand_from remove rename help" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and not __fish_seen_subcommand_from remove rename help" -f -a "remove" -d 'Remove a node from a network'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and not __fish_seen_subcommand_from remove rename help" -f -a "rename" -d 'Call a node something else'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and not __fish_seen_subcommand_from remove rename help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and __fish_seen_subcommand_from remove" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and __fish_seen_subcommand_from remove" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and __fish_seen_subcommand_from remove" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and __fish_seen_subcommand_from remove" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and __fish_seen_subcommand_from rename" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and __fish_seen_subcommand_from rename" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and __fish_seen_subcommand_from rename" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and __fish_seen_subcommand_from rename" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and __fish_seen_subcommand_from rename" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove a node from a network'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "rename" -d 'Call a node something else'
complete -c cococtl -n "__fish_cococtl_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and not __fish_seen_subcommand_from expose open list close help" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and not __fish_seen_subcommand_from expose open list close help" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and not __fish_seen_subcommand_from expose open list close help" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and not __fish_seen_subcommand_from expose open list close help" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and not __fish_seen_subcommand_from expose open list close help" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and not __fish_seen_subcommand_from expose open list close help" -f -a "expose" -d 'Offer a service as a resource of a network'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and not __fish_seen_subcommand_from expose open list close help" -f -a "open" -d 'Open a resource and print its local URL'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and not __fish_seen_subcommand_from expose open list close help" -f -a "list" -d 'List what is exposed and opened here'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and not __fish_seen_subcommand_from expose open list close help" -f -a "close" -d 'Close a tunnel: stop listening, or stop offering'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and not __fish_seen_subcommand_from expose open list close help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from expose" -l name -d 'The name of the resource' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from expose" -l network -d 'The network, where there is more than one' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from expose" -l can -d 'What a grant gives that names nothing [default: everything]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from expose" -l login-file -d 'The target\'s user and password, for http, rtsp and mqtt; - is stdin' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from expose" -l max-clients -d 'How many clients at a time, of all who open it [default: no limit]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from expose" -l host-header -d 'http: what the target reads as its Host [default: its host and port]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from expose" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from expose" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from expose" -l share -d 'rtsp: let all viewers share one session with the camera'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from expose" -l client-id-suffix -d 'mqtt: make the client ids of different nodes distinct'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from expose" -l discover -d 'Expose nothing: list the ONVIF cameras on the LAN with the URLs of their streams'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from expose" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from expose" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from expose" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from open" -l network -d 'The network, where there is more than one' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from open" -l listen -d 'Where to listen [default: a free port of 127.0.0.1]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from open" -l timeout -d 'How long to wait for the node that offers it' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from open" -l path -d 'Which ways its packets may take' -r -f -a "direct-first\t''
direct-only\t''
relay-only\t''"
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from open" -l allow -d 'Which applications may use it: uid:USER, gid:GROUP, exe:/PATH, unit:NAME [default: as the daemon\'s configuration says, or its own user]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from open" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from open" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from open" -l public -d 'Let other machines use it, on an address that is not loopback'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from open" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from open" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from open" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from list" -l interval -d 'How often' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from list" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from list" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from list" -l watch -d 'Show it again and again, until interrupted'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from list" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from close" -l network -d 'The network, where there is more than one' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from close" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from close" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from close" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from close" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from close" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from help" -f -a "expose" -d 'Offer a service as a resource of a network'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from help" -f -a "open" -d 'Open a resource and print its local URL'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from help" -f -a "list" -d 'List what is exposed and opened here'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from help" -f -a "close" -d 'Close a tunnel: stop listening, or stop offering'
complete -c cococtl -n "__fish_cococtl_using_subcommand tunnel; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cococtl -n "__fish_cococtl_using_subcommand status" -l interval -d 'How often' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand status" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand status" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand status" -l watch -d 'Show it again and again, until interrupted'
complete -c cococtl -n "__fish_cococtl_using_subcommand status" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand status" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand status" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand peers" -l interval -d 'How often' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand peers" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand peers" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand peers" -l watch -d 'Show it again and again, until interrupted'
complete -c cococtl -n "__fish_cococtl_using_subcommand peers" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand peers" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand peers" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand events" -l network -d 'In this network only' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand events" -l kind -d 'Of these kinds only' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand events" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand events" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand events" -s f -l follow -d 'Wait for what happens next, until interrupted'
complete -c cococtl -n "__fish_cococtl_using_subcommand events" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand events" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand events" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand dashboard" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand dashboard" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand dashboard" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand dashboard" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand dashboard" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand ping" -l network -d 'The network, where there is more than one' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand ping" -s c -l count -d 'How often [default: until an answer comes directly, at most 10 times]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand ping" -l timeout -d 'How long to wait for each answer' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand ping" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand ping" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand ping" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand ping" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand ping" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand doctor" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand doctor" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand doctor" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand doctor" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand usage" -l month -d 'The month [default: this one]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand usage" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand usage" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand usage" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand usage" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand usage" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand run" -l resource -d 'Only these resources [default: all that may be used]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand run" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand run" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand run" -l shell -d 'Run a shell: $SHELL, or /bin/sh'
complete -c cococtl -n "__fish_cococtl_using_subcommand run" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand run" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand run" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand wait" -l network -d 'For this network only' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand wait" -l timeout -d 'How long' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand wait" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand wait" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand wait" -l online -d 'Until the networks are in touch with their managers'
complete -c cococtl -n "__fish_cococtl_using_subcommand wait" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand wait" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand wait" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand completions" -l app -d 'Talk to the daemon of this app [default: default]' -r
complete -c cococtl -n "__fish_cococtl_using_subcommand completions" -l socket -d 'Talk to the daemon behind this control socket' -r -F
complete -c cococtl -n "__fish_cococtl_using_subcommand completions" -l json -d 'Print the daemon\'s answer as JSON, one line each'
complete -c cococtl -n "__fish_cococtl_using_subcommand completions" -s h -l help -d 'Print help'
complete -c cococtl -n "__fish_cococtl_using_subcommand completions" -s V -l version -d 'Print version'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and not __fish_seen_subcommand_from network node tunnel status peers events dashboard ping doctor usage run wait completions help" -f -a "network" -d 'Found and join networks, and say who may do what in them'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and not __fish_seen_subcommand_from network node tunnel status peers events dashboard ping doctor usage run wait completions help" -f -a "node" -d 'Manage the nodes of a network'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and not __fish_seen_subcommand_from network node tunnel status peers events dashboard ping doctor usage run wait completions help" -f -a "tunnel" -d 'Expose resources, and open those of others'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and not __fish_seen_subcommand_from network node tunnel status peers events dashboard ping doctor usage run wait completions help" -f -a "status" -d 'Show the daemon, its networks, peers and tunnels'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and not __fish_seen_subcommand_from network node tunnel status peers events dashboard ping doctor usage run wait completions help" -f -a "peers" -d 'Show the nodes that this one is connected to, and how'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and not __fish_seen_subcommand_from network node tunnel status peers events dashboard ping doctor usage run wait completions help" -f -a "events" -d 'Show what has happened'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and not __fish_seen_subcommand_from network node tunnel status peers events dashboard ping doctor usage run wait completions help" -f -a "dashboard" -d 'Watch networks, peers, tunnels and the relay on the whole terminal'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and not __fish_seen_subcommand_from network node tunnel status peers events dashboard ping doctor usage run wait completions help" -f -a "ping" -d 'Measure the round trip to a node'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and not __fish_seen_subcommand_from network node tunnel status peers events dashboard ping doctor usage run wait completions help" -f -a "doctor" -d 'Examine what stands between this node and the others'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and not __fish_seen_subcommand_from network node tunnel status peers events dashboard ping doctor usage run wait completions help" -f -a "usage" -d 'Show what the relay has carried, against what it may'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and not __fish_seen_subcommand_from network node tunnel status peers events dashboard ping doctor usage run wait completions help" -f -a "run" -d 'Run a program that sees the resources of a network, and nothing else'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and not __fish_seen_subcommand_from network node tunnel status peers events dashboard ping doctor usage run wait completions help" -f -a "wait" -d 'Wait for the daemon to be ready'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and not __fish_seen_subcommand_from network node tunnel status peers events dashboard ping doctor usage run wait completions help" -f -a "completions" -d 'Print a completion script'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and not __fish_seen_subcommand_from network node tunnel status peers events dashboard ping doctor usage run wait completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "create" -d 'Found a network, owned by you'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "list" -d 'List the networks this daemon has joined'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "show" -d 'Show one network'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "leave" -d 'Leave a network, removing this node from it'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "invite" -d 'Make an invite and print it'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "invites" -d 'List the invites that can still be used'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "revoke-invite" -d 'Revoke an invite'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "join" -d 'Join a network by an invite'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "members" -d 'List the people of a network and their nodes'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "role" -d 'Change what a person is: owner, admin or guest'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "remove" -d 'Remove a person with all their nodes'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "rename" -d 'Call a person something else'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "grant" -d 'Let a guest use a resource, instead of what they were granted of it before'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "revoke" -d 'Take a grant back; what is open by it is cut'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "grants" -d 'List the grants'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "apply" -d 'Make roles, resources and grants what a file says'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "prune" -d 'Remove nodes that nobody has seen for long'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "roles" -d 'Show who may do what'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "log" -d 'Tell the network\'s history: who did what when'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "audit" -d 'Check what the managers have shown, and print the proof of what is wrong'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "export" -d 'Write the whole ledger to a file'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "verify" -d 'Verify an exported ledger, without a daemon'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "recovery-key" -d 'Make an offline key of the owner\'s and print it'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "recover" -d 'Come back as the owner with a recovery key'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "managers" -d 'Say which managers may stamp from now on'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "checkpoint" -d 'Vouch for the network\'s state so far'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "remove" -d 'Remove a node from a network'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "rename" -d 'Call a node something else'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from tunnel" -f -a "expose" -d 'Offer a service as a resource of a network'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from tunnel" -f -a "open" -d 'Open a resource and print its local URL'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from tunnel" -f -a "list" -d 'List what is exposed and opened here'
complete -c cococtl -n "__fish_cococtl_using_subcommand help; and __fish_seen_subcommand_from tunnel" -f -a "close" -d 'Close a tunnel: stop listening, or stop offering'
