"""Processes user-data with cloud-init: reads a JSON list of base64 strings, and writes the JSON list of the results."""
import base64, json, logging, os, sys, tempfile
from cloudinit import handlers, helpers, user_data, util
from cloudinit.distros import ug_util
from cloudinit.handlers.cloud_config import CloudConfigPartHandler
from cloudinit.handlers.jinja_template import JinjaTemplatePartHandler
from cloudinit.handlers.shell_script import ShellScriptPartHandler

logging.disable(logging.CRITICAL)


class Distro:
    def get_default_user(self):
        return {"name": "debian", "lock_passwd": True, "sudo": ["ALL=(ALL) NOPASSWD:ALL"]}


def merged(blob):
    folder = tempfile.mkdtemp()
    paths = helpers.Paths({"cloud_dir": folder, "run_dir": folder})
    paths.get_ipath = paths.get_ipath_cur = lambda name=None: f"{folder}/{name}"
    for name in ("scripts", "data"):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
    util.write_file(f"{folder}/instance-data.json", json.dumps({"v1": {"region": "here"}}))
    util.write_file(f"{folder}/instance-data-sensitive.json", json.dumps({"v1": {"region": "here"}}))
    config = CloudConfigPartHandler(paths)
    config._reset = lambda: None
    script = ShellScriptPartHandler(paths)
    plain = [config, script]
    known = {kind: one for one in plain for kind in one.list_types()}
    template = JinjaTemplatePartHandler(paths, sub_handlers=plain)
    known.update({kind: template for kind in template.list_types()})
    message = user_data.UserDataProcessor(paths).process(blob)
    data = {
        "handlers": known,
        "data": None,
        "frequency": "once-per-instance",
        "handlerdir": folder,
        "handlercount": 0,
        "excluded": [],
    }
    handlers.walk(message, handlers.walker_callback, data)
    settings = config.cloud_buf or {}
    users, _ = ug_util.normalize_users_groups(json.loads(json.dumps(settings)), Distro())
    return {"settings": settings, "users": users, "scripts": sorted(os.listdir(f"{folder}/scripts"))}


json.dump([merged(base64.b64decode(one)) for one in json.load(sys.stdin)], sys.stdout)
