"""What is wrong stays where it is wrong: neighbours serve, and everything bad has a reason."""

import itertools
from pathlib import Path
from typing import Any

from support.operator import edge, gateway, respond, serves, until

HEAD = "apiVersion: gateway.fastforward.dev/v1alpha1\n"
GARBAGE = (
    "just words",
    "- a\n- list\n",
    "a: [1, 2",
    "\t\ttabs: here",
    "%&/()=?",
    "a: 1\na: 2\n",
    "kind: Unheard\nmetadata: {name: of}\n",
    f"{HEAD}kind: Route\n",
    f"{HEAD}kind: Route\nmetadata: {{name: NOT A NAME}}\nspec: {{}}\n",
    f"{HEAD}kind: Route\nmetadata: {{name: 'bad-{{number}}'}}\nspec: {{rules: 7}}\n",
    f"{HEAD}kind: Upstream\nmetadata: {{name: 'bad-{{number}}'}}\nspec: {{endpoints: [{{address: '!', port: 0}}]}}\n",
    f"{HEAD}kind: AuthPolicy\nmetadata: {{name: 'bad-{{number}}'}}\nspec: {{targets: []}}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: 'bad-{number}'}\ndata: {a: '***'}\n",
    "a: &a [x]\nb: &b [*a, *a]\nc: &c !!python/object:os.system [*b]\n",
    "[" * 3000,
)


def garbage(count: int) -> list[str]:
    texts = itertools.islice(itertools.cycle(GARBAGE), count)
    return [text.replace("{number}", str(number)) for number, text in enumerate(texts)]


async def test_a_thousand_garbage_documents_leave_the_neighbours_serving_and_each_gets_a_reason(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path) as running:
        running.write("edge", edge("*.example.com"))
        running.write("before", respond("before", "before.example.com", "here"))
        envoy = running.start_envoy()
        await serves(envoy, "before.example.com", "here")
        documents = garbage(1000)
        for start in range(0, 1000, 50):
            running.write(
                f"garbage-{start}",
                *documents[start : start + 25],
                respond(f"good-{start}", f"h{start}.example.com", str(start)),
                *documents[start + 25 : start + 50],
            )
        for start in range(0, 1000, 50):
            await serves(envoy, f"h{start}.example.com", str(start))
        await serves(envoy, "before.example.com", "here")

        def bad(found: dict[str, Any]) -> list[dict[str, Any]]:
            return [each for each in found["objects"] if each["conditions"][0]["status"] == "False"]

        found = await until(lambda: running.api("/v1/objects"), lambda found: len(bad(found)) == 1000, seconds=5)
        assert all(each["problems"][0]["message"] and each["problems"][0]["at"] for each in bad(found))
        assert running.operator.metrics.failures._value.get() == 0


async def test_the_message_names_file_and_line(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        text = respond("shop", "shop.example.com", "x").replace("respond:", "respnd:")
        running.write("edge", edge("shop.example.com"), "a: [1\n", text)
        shop = await until(lambda: running.object("Route", "shop"), bool)
        file = running.resources / "edge.yaml"
        line = file.read_text().splitlines().index("    respnd: {body: 'x'}") + 1
        problem = next(each for each in shop["problems"] if "respnd" in each["field"])
        assert problem["message"] == "This field is not known. Did you mean respond?"
        assert problem["at"] == f"{file}:{line}"
        (document,) = (await running.api("/v1/objects?kind=Document"))["objects"]
        assert document["problems"][0]["at"] == f"{file}:10"


async def test_a_bad_edit_keeps_the_last_good_version_serving_even_over_a_restart(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.write("edge", edge("*.example.com"))
        running.write("shop", respond("shop", "shop.example.com", "good"))
        running.write("cart", respond("cart", "cart.example.com", "good"))
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "good")
        await until(lambda: running.programmed("Route", "cart"), bool)
        running.write("shop", respond("shop", "shop.example.com", "bad").replace("rules", "rulez"))
        running.write("cart", "{{{{ not a document")
        for name in ("shop", "cart"):
            await until(
                lambda name=name: running.condition("Route", name, "Accepted"), lambda found: found["status"] == "False"
            )
            assert (await envoy.get(f"{name}.example.com")).body == "good"
        await running.restart()
        told = await until(running.told, bool)
        assert sum(told.values()) == 0
        for name in ("shop", "cart"):
            assert (await envoy.get(f"{name}.example.com")).body == "good"
            found = await until(lambda name=name: running.condition("Route", name), bool)
            assert found["message"] == "The last good version keeps serving."
        running.write("cart", respond("cart", "cart.example.com", "mended"))
        await serves(envoy, "cart.example.com", "mended")
