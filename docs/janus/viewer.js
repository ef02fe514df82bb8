// watch shows a mountpoint of Janus' streaming plugin in a <video>. janus is the address of
// its HTTP API. Returns the connection once it is agreed; it lives as long as the page.
async function watch(janus, id, video) {
	const answer = async response => {
		const said = await (await response).json();
		if (said.error || said.plugindata?.data?.error) {
			throw new Error('Janus: ' + (said.error?.reason ?? said.plugindata.data.error));
		}
		return said;
	};
	const ask = (path, body) => answer(fetch(janus + path, {
		method: 'POST', body: JSON.stringify({transaction: Math.random().toString(36).slice(2), ...body}),
	}));
	const session = '/' + (await ask('', {janus: 'create'})).data.id;
	const handle = session + '/' + (await ask(session, {janus: 'attach', plugin: 'janus.plugin.streaming'})).data.id;
	const next = () => answer(fetch(janus + session + '?maxev=1&rid=' + Date.now())); // waits up to 30 s: "keepalive"

	const peer = new RTCPeerConnection();
	peer.ontrack = e => { video.srcObject = new MediaStream([e.track]); };
	peer.onicecandidate = e => ask(handle, {janus: 'trickle', candidate: e.candidate ?? {completed: true}});
	await ask(handle, {janus: 'message', body: {request: 'watch', id}});
	let offer;
	while (!offer) offer = (await next()).jsep;
	await peer.setRemoteDescription(offer);
	await peer.setLocalDescription();
	await ask(handle, {janus: 'message', body: {request: 'start'}, jsep: peer.localDescription});
	(async () => { for (;;) await next(); })(); // a session that nobody asks about ends after a minute
	return peer;
}
