# bash completion of panelctl; made by: panelctl completion bash
_panelctl() {
    local cur prev word noun= verb= words= options= things= value=
    cur=${COMP_WORDS[COMP_CWORD]}
    prev=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [ -n "$value" ]; then
            value=
            continue
        fi
        case $word in
        -o|--output|--url|--key-file|--ca-cert|--timeout|--config) value=yes ;;
        -*) ;;
        *) if [ -z "$noun" ]; then noun=$word; elif [ -z "$verb" ]; then verb=$word; fi ;;
        esac
    done
    case $prev in
        --output|-o) words="table wide json yaml name" ;;
        --url) things="nothing" ;;
        --key-file) things="files" ;;
        --ca-cert) things="files" ;;
        --timeout) things="nothing" ;;
        --config) things="files" ;;
        --address) things="nothing" ;;
        --port) things="nothing" ;;
        --tags) things="nothing" ;;
        --ram) things="nothing" ;;
        --disk) things="nothing" ;;
        --processor) things="nothing" ;;
        --port-range) things="nothing" ;;
        --overcommit-memory) things="nothing" ;;
        --overcommit-cpu) things="nothing" ;;
        --name) things="nothing" ;;
        --maintenance) words="yes no" ;;
        --user) things="user" ;;
        --node) things="node" ;;
        --state) things="nothing" ;;
        --image|-i) things="nothing" ;;
        --template|-t) things="image" ;;
        --ports|-p) things="nothing" ;;
        --memory|-m) things="nothing" ;;
        --cpu|-c) things="nothing" ;;
        --primary) things="nothing" ;;
        --var|-e) things="nothing" ;;
        --env) things="nothing" ;;
        --tail|-n) things="nothing" ;;
        --since) things="nothing" ;;
        --sort) words="cpu memory name" ;;
        --email) things="nothing" ;;
        --id) things="nothing" ;;
        --admin) words="yes no" ;;
        --username) things="nothing" ;;
        --file|-f) things="files" ;;
        --description) things="nothing" ;;
        --scopes) things="nothing" ;;
        --expires) things="nothing" ;;
        --instance) things="instance" ;;
        --after) things="nothing" ;;
        --key) things="key" ;;
        --target) things="nothing" ;;
        --limit) things="nothing" ;;
    esac
    if [ -z "$words$things" ]; then
        case "$noun $verb" in
        "node list"|"node ls"|"nodes list"|"nodes ls"|"nodes ") options="--watch" things="" ;;
        "node get"|"node show"|"nodes get"|"nodes show") options="--watch" things="node" ;;
        "node create"|"nodes create") options="--address --port --tags --ram --disk --processor --port-range --overcommit-memory --overcommit-cpu" things="" ;;
        "node update"|"nodes update") options="--name --address --maintenance --port --tags --ram --disk --processor --port-range --overcommit-memory --overcommit-cpu" things="node" ;;
        "node drain"|"nodes drain") options="--no-wait" things="node" ;;
        "node undrain"|"nodes undrain") options="--keep-maintenance" things="node" ;;
        "node token"|"nodes token") options="" things="node" ;;
        "node delete"|"node rm"|"nodes delete"|"nodes rm") options="--force --yes" things="node" ;;
        "node orphans"|"nodes orphans") options="--watch" things="node" ;;
        "node remove-orphan"|"nodes remove-orphan") options="--yes" things="node" ;;
        "instance list"|"instance ls"|"instances list"|"instances ls"|"instances ") options="--user --shared --node --state --watch" things="" ;;
        "instance get"|"instance show"|"instances get"|"instances show") options="--watch" things="instance" ;;
        "instance deploy"|"instance create"|"instance run"|"instances deploy"|"instances create"|"instances run") options="--image --template --user --ports --node --tags --memory --cpu --disk --primary --var --no-wait" things="" ;;
        "instance update"|"instances update") options="--name --user --image --ports --memory --cpu --disk --primary --var --env --no-wait" things="instance" ;;
        "instance start"|"instances start") options="" things="instance" ;;
        "instance stop"|"instances stop") options="" things="instance" ;;
        "instance restart"|"instances restart") options="" things="instance" ;;
        "instance kill"|"instances kill") options="" things="instance" ;;
        "instance suspend"|"instances suspend") options="" things="instance" ;;
        "instance unsuspend"|"instances unsuspend") options="" things="instance" ;;
        "instance delete"|"instance rm"|"instances delete"|"instances rm") options="--yes" things="instance" ;;
        "instance retry"|"instances retry") options="--no-wait" things="instance" ;;
        "instance redeploy"|"instances redeploy") options="--no-wait" things="instance" ;;
        "instance reinstall"|"instances reinstall") options="--wipe --yes --no-wait" things="instance" ;;
        "instance logs"|"instances logs") options="--follow --tail --since --timestamps --install" things="instance" ;;
        "instance command"|"instances command") options="" things="instance" ;;
        "instance console"|"instance attach"|"instances console"|"instances attach") options="--tail" things="instance" ;;
        "instance stats"|"instances stats") options="--follow --sort" things="" ;;
        "instance users"|"instances users") options="--watch" things="instance" ;;
        "instance share"|"instances share") options="" things="instance" ;;
        "instance unshare"|"instances unshare") options="" things="instance" ;;
        "user list"|"user ls"|"users list"|"users ls"|"users ") options="--watch" things="" ;;
        "user get"|"user show"|"users get"|"users show") options="--watch" things="user" ;;
        "user create"|"users create") options="--email --id --admin" things="" ;;
        "user update"|"users update") options="--username --email --admin --password" things="user" ;;
        "user delete"|"user rm"|"users delete"|"users rm") options="--force --yes" things="user" ;;
        "image list"|"image ls"|"images list"|"images ls"|"images ") options="--watch" things="" ;;
        "image get"|"image show"|"images get"|"images show") options="--watch" things="image" ;;
        "image import"|"image create"|"images import"|"images create") options="--name" things="files" ;;
        "image update"|"images update") options="--file --name --image --description" things="image" ;;
        "image delete"|"image rm"|"images delete"|"images rm") options="--force --yes" things="image" ;;
        "key list"|"key ls"|"keys list"|"keys ls"|"keys ") options="--watch" things="" ;;
        "key create"|"keys create") options="--scopes --user --expires" things="" ;;
        "key revoke"|"key delete"|"key rm"|"keys revoke"|"keys delete"|"keys rm") options="--yes" things="key" ;;
        "key rotate"|"keys rotate") options="--yes" things="key" ;;
        "event list"|"event ls"|"events list"|"events ls"|"events ") options="--follow --instance --node --user --after" things="" ;;
        "audit list"|"audit ls") options="--key --target --since --limit" things="" ;;
        "backup "|"backups ") options="" things="" ;;
        "top ") options="--sort --once" things="" ;;
        "doctor ") options="" things="" ;;
        esac
    fi
    if [ -n "$words$things" ] && [[ $cur != -* ]]; then
        :
    elif [[ $cur == -* ]]; then
        things=
        words="$options --output --url --key-file --ca-cert --timeout --config --no-color --help --version"
    elif [ -z "$noun" ]; then
        words="node instance user image key event audit backup top doctor"
    elif [ -z "$verb" ]; then
        case $noun in
        node|nodes) words="list get create update drain undrain token delete orphans remove-orphan" ;;
        instance|instances) words="list get deploy update start stop restart kill suspend unsuspend delete retry redeploy reinstall logs command console stats users share unshare" ;;
        user|users) words="list get create update delete" ;;
        image|images) words="list get import update delete" ;;
        key|keys) words="list create revoke rotate" ;;
        event|events) words="list" ;;
        audit) words="list" ;;
        esac
    fi
    if [ -n "$words" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    elif [ "$things" = files ]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    elif [ -n "$things" ] && [ "$things" != nothing ]; then
        mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" __names "$things" \
            --timeout 3 2>/dev/null)" -- "$cur")
    fi
}
complete -F _panelctl panelctl
