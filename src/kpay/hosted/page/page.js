// Makes the page live; all of it works without. Old phones: no syntax younger than fetch.
(function () {
  var wait, timer, main;
  function one(selector) { return main.querySelector(selector); }
  function each(selector, act) { Array.prototype.forEach.call(main.querySelectorAll(selector), act); }

  // The operator that is picked decides the calling code and which test numbers are shown.
  function picked() {
    var radio = one('[name=provider]:checked'), code = one('#code'), number = one('#number');
    if (!code) return;
    var given = number.value.replace(/[^0-9+]/g, '');
    var whole = radio && given.indexOf(radio.dataset.code.slice(1)) === 0 || given[0] === '+';
    code.hidden = !radio || whole;
    code.textContent = radio ? radio.dataset.code : '';
    each('[data-of]', function (part) { part.hidden = !!radio && part.dataset.of !== radio.dataset.country; });
  }

  // What the server would show now takes the place of what is there, and is read out.
  function renew() {
    return fetch(location.href, { cache: 'no-store' }).then(function (answer) {
      return answer.text();
    }).then(function (text) {
      var fresh = new DOMParser().parseFromString(text, 'text/html');
      if (!fresh.getElementById('main')) throw 0;
      document.querySelector('.page').replaceChild(fresh.getElementById('main'), main);
      document.title = fresh.title;
      begin();
      var said = one('[role=alert]') || one('h1');
      document.getElementById('said').textContent = said.textContent;
      one('h1').focus();
    });
  }

  function later(seconds, act) { clearTimeout(timer); timer = setTimeout(act, seconds * 1000); }

  // Two seconds at first, up to ten; not while nobody looks.
  function poll() {
    if (document.hidden) return;
    fetch(main.dataset.at + '/status', { cache: 'no-store' }).then(function (answer) {
      if (!answer.ok) throw 0;
      return answer.json();
    }).then(function (now) {
      return now.state !== main.dataset.state && renew();
    }).catch(function () {}).then(function () {
      if (!('poll' in main.dataset)) return;
      wait = Math.min(wait * 1.15, 10);
      later(wait, poll);
    });
  }

  function leave() { location.assign(main.dataset.at + '/return'); }

  function begin() {
    clearTimeout(timer);
    main = document.getElementById('main');
    picked();
    each('.tests code', function (number) {
      var button = document.createElement('button');
      button.type = 'button';
      button.className = 'fill';
      button.textContent = number.textContent;
      number.parentNode.replaceChild(button, number);
    });
    wait = 2;
    if ('poll' in main.dataset) later(wait, poll);
    if ('return' in main.dataset) later(8, leave);
    if (main.dataset.seconds < 86400) later(+main.dataset.seconds, renew);
  }

  document.addEventListener('change', function (event) { if (event.target.name === 'provider') picked(); });
  document.addEventListener('input', function (event) { if (event.target.id === 'number') picked(); });
  document.addEventListener('click', function (event) {
    if (event.target.className !== 'fill') return;
    one('#number').value = event.target.textContent;
    picked();
  });
  document.addEventListener('submit', function (event) {
    if (event.target.dataset.sent) return event.preventDefault();
    event.target.dataset.sent = '1';
    event.target.querySelector('button').disabled = true;
  });
  document.addEventListener('visibilitychange', function () {
    if (!document.hidden && 'poll' in main.dataset) later(0, poll);
  });
  // A page that comes back from the browser's memory may be old.
  window.addEventListener('pageshow', function (event) { if (event.persisted) location.reload(); });
  begin();
})();
